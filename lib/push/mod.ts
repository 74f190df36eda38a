// push: archives that loggers send by HTTP, as files or into a feed.
export { createPush } from "./push.ts";
export * from "./types.ts";
