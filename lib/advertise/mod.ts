// advertise: telling the network that the proxy is here (spec proxy.md 16).
export {
  advertise,
  type Advertisement,
  type AdvertisementState,
  type AdvertiseOptions,
} from "./advertise.ts";
