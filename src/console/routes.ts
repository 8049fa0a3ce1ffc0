/** Where in the console somebody is: the part of the address behind `#`. */
export type Route =
  | { readonly name: 'uploads' | 'providers' | 'new' | 'unknown' }
  | { readonly name: 'session'; readonly sessionId: number }

/** Reads `location.hash`. */
export function routeOf(hash: string): Route {
  const path = hash.replace(/^#\/?/, '')
  if (path === '' || path === 'uploads') return { name: 'uploads' }
  if (path === 'providers' || path === 'new') return { name: path }
  const sessionId = /^uploads\/(?<id>\d{1,16})$/.exec(path)?.groups?.['id']
  if (sessionId === undefined) return { name: 'unknown' }
  return { name: 'session', sessionId: Number(sessionId) }
}

export const sessionHref = (sessionId: number) => `#/uploads/${sessionId}`
