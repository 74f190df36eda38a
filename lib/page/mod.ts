// page: the page at `/`, as one document in the executable. What it shows comes from requests of the
// web room, which the browser makes; nothing of it is asked for here.
export { createPage, type Page, type PageReply, type PageRequest } from "./page.ts";
