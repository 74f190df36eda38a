// web: what HTTP requests mean.
export { answer, errorPage, type ServerView, type WebReply, type WebRequest } from "./route.ts";
