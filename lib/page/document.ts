// The page as the bundler has made it: while the executable is built, or, run from source, while this
// file is loaded, which takes a moment. Loaded at the first request for it.
import { bundlePage } from "./bundle.ts" with { type: "macro" };

/** HTML with its script, its style and the notices of the packages in it. */
export const DOCUMENT: string = bundlePage();
