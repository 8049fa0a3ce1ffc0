/** What a person does about an error of a platform, by its class; see docs/errors.md. */
const ADVICE: ReadonlyMap<string, string> = new Map([
  ['auth', "Renew the tag's credentials and restart the service with them; it goes on by itself."],
  ['permission', 'Grant what the message names; the service finds out and goes on by itself.'],
  ['blocked', 'Do at the platform what the message says; the service goes on by itself.'],
  ['invalid', 'Correct what the message names and upload again.'],
  ['not_found', 'The segment was deleted while it was written to: upload again.'],
  ['rate_limited', 'Nothing: the service waits as long as the platform asks for.'],
  ['transient', 'Nothing: the service tries again by itself.'],
  ['internal', "Look into the service's log for the line of this delivery, and retry the session."],
  ['crashed', 'The service ended while it prepared these users: look into its log.'],
  [
    'cancelled',
    'The segment was deleted before this was sent: upload again if that was not meant.'
  ],
  ['expired', 'The users are not kept any more: upload again.'],
  ['unreadable', 'Give the service the encryption key back that these users were sealed with.'],
  ['not_configured', 'Configure the tag again and retry the session.']
])
/** Those for which the service would do something by itself, once it has given up. */
const GIVEN_UP = 'The service has given up: retry the session once the cause is gone.'
const GOES_ON: ReadonlySet<string> = new Set([
  'auth',
  'permission',
  'blocked',
  'rate_limited',
  'transient'
])

/** What to do about an error with this code; `isFinal`: the service does not try again. */
export function adviceFor(code: string, isFinal: boolean): string {
  if (isFinal && GOES_ON.has(code)) return GIVEN_UP
  return ADVICE.get(code) ?? 'See the message.'
}
