import { adcp } from './adcp/index.ts'
import { facebook } from './facebook/index.ts'
import { klaviyo } from './klaviyo/index.ts'
import type { Provider } from './provider.ts'
import { reddit } from './reddit/index.ts'
import { tiktok } from './tiktok/index.ts'

/** Every platform this service knows: a new one is its folder, one line here and one in `encoders.ts`. */
export const providers: readonly Provider[] = [facebook, tiktok, klaviyo, adcp, reddit]
