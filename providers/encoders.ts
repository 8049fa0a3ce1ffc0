import { encoder as adcp } from './adcp/encode.ts'
import { encoder as facebook } from './facebook/encode.ts'
import { encoder as klaviyo } from './klaviyo/encode.ts'
import type { Provider } from './provider.ts'
import { encoder as reddit } from './reddit/encode.ts'
import { encoder as tiktok } from './tiktok/encode.ts'

/**
 * What worker threads load of the platforms, by name: with the registry each would also load the
 * schemas and the HTTP client, 11 MB a thread. A test holds it to the registry.
 */
export const encoders: Readonly<Record<string, Provider['encoder']>> = {
  facebook,
  tiktok,
  klaviyo,
  adcp,
  reddit
}
