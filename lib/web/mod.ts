// web: what HTTP requests mean.
export { createWebApi, type WebApiOptions } from "./pmapi.ts";
export {
  type Answer,
  answer,
  errorPage,
  respond,
  type ServerView,
  type WebApi,
  type WebBody,
  type WebReply,
  type WebRequest,
} from "./route.ts";
