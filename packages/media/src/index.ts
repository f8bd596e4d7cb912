export { type Fetched, type FetchOptions, fetchUrl } from './fetch/fetch-url.ts';
