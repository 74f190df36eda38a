// web: what HTTP requests mean.
export { type Authority, type AuthorityRefusal, createAuthority } from "./authority.ts";
export { lateReply } from "./late.ts";
export { createLoggerApi } from "./logger.ts";
export { createWebApi, type WebApiOptions } from "./pmapi.ts";
export { createSeriesApi, type SeriesApiOptions } from "./series.ts";
export { DEFAULT_SERIES_LIMITS, type SeriesLimits } from "./series-work.ts";
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
