/** Sessions of one millisecond that can be told apart. */
const PER_MS = 2_048

/** A session id that nobody else has: the time and some chance, a safe integer until the year 2109. */
export function newSessionId(): number {
  const [random = 0] = crypto.getRandomValues(new Uint16Array(1))
  return Date.now() * PER_MS + (random % PER_MS)
}
