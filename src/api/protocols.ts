import { Type } from 'typebox'
import { DeliveryStatus, Problem, SessionProgress } from './answers.ts'
import * as examples from './examples.ts'
import { closed, count, nullable, time, word } from './schema.ts'

/** What follows protocols of others: event streams, JSON-RPC, keys, webhooks. */

const eventOf = (name: string, data: typeof DeliveryStatus | typeof SessionProgress) =>
  closed({
    id: Type.String({ description: 'Grows; `last-event-id` of a reader who comes back.' }),
    event: Type.Literal(name, { type: 'string' }),
    data: Type.String({ contentMediaType: 'application/json', contentSchema: data })
  })

export const EventStream = Type.String({
  title: 'EventStream',
  description:
    'Events `delivery` when a delivery has changed, and `session` at the start and after anything has changed.',
  contentMediaType: 'text/event-stream',
  contentSchema: Type.Array(
    Type.Union([eventOf('delivery', DeliveryStatus), eventOf('session', SessionProgress)])
  )
})

export const EXAMPLE_STREAM = [
  'retry: 2000\n',
  `id: 17\nevent: delivery\ndata: ${JSON.stringify(examples.delivery)}\n`,
  `id: 17\nevent: session\ndata: ${JSON.stringify(examples.progress)}\n`,
  ': heartbeat\n\n'
].join('\n')

const jsonrpc = Type.Literal('2.0', { type: 'string' })
const rpcId = Type.Union([Type.String(), Type.Integer(), Type.Null()])
/** What the protocol above JSON-RPC says. */
const anything = Type.Object({}, { additionalProperties: true })

export const RpcMessage = Type.Object(
  {
    jsonrpc,
    id: Type.Optional(rpcId),
    method: Type.String(),
    params: Type.Optional(anything)
  },
  {
    title: 'RpcMessage',
    description: 'A message of JSON-RPC.',
    examples: [{ jsonrpc: '2.0', id: 1, method: 'tools/list' }]
  }
)

export const RpcAnswer = closed(
  {
    jsonrpc,
    id: rpcId,
    result: Type.Optional(anything),
    error: Type.Optional(
      closed({
        code: Type.Integer(),
        message: Type.String(),
        data: Type.Optional(anything)
      })
    )
  },
  { title: 'RpcAnswer', description: 'An answer of JSON-RPC: a result or an error.' }
)

export const JwkSet = closed(
  {
    keys: Type.Array(
      closed({
        kty: Type.String(),
        crv: Type.String(),
        x: Type.String({ description: 'The public key.' }),
        kid: Type.String({ description: 'Names the key.' }),
        alg: Type.String(),
        use: Type.String(),
        key_ops: Type.Array(Type.String()),
        adcp_use: Type.String({ description: 'What AdCP uses it for.' })
      })
    )
  },
  { title: 'JwkSet', description: 'Keys as RFC 7517 has them.' }
)

export const BrandFile = closed(
  {
    version: Type.String(),
    agents: Type.Array(
      closed({
        type: Type.String(),
        id: Type.String(),
        url: Type.String({ format: 'uri', description: 'Where it is called.' }),
        jwks_uri: Type.String({ format: 'uri', description: 'Where its keys are.' })
      })
    )
  },
  { title: 'BrandFile', description: 'The agents of this address.' }
)

/** Receivers should ignore what they do not know, so these are open. */
const message = (type: string, data: Parameters<typeof Type.Object>[0]) =>
  Type.Object({
    type: Type.Literal(type, { type: 'string' }),
    timestamp: time('When it happened.'),
    data: Type.Object(data)
  })

const apiKey = Type.String({ description: 'Name of the API key that owns the session.' })
const sessionId = count('The session.')
const audience = Type.String({ description: "The audience's name as it was sent." })
const provider = Type.String({ description: 'The platform.' })
const tag = Type.String({ description: 'One of its configured accounts.' })
const account = Type.String({ description: "The platform's own id of the account." })
const progress = Type.Object({ received: count('Accepted.'), total: count('Announced.') })
const error = nullable(Problem)

const EXAMPLE_TIME = '2026-01-01T10:00:05.120Z'
const EXAMPLE_SESSION = {
  apiKey: 'shop',
  sessionId: 1708531200,
  audience: 'High Value Customers Q1'
}
const EXAMPLE_ACCOUNT = { provider: 'facebook', account: '1234567890', tag: 'eu-shop' }

/** What the service tells configured addresses, by the type of the message. */
export const webhooks = {
  'audience.session.settled': {
    summary: 'A session has settled',
    description:
      'Every batch has arrived and no delivery is under way. It is sent again when that happens anew.',
    schema: message('audience.session.settled', {
      apiKey,
      sessionId,
      audience,
      type: word(['custom', 'primary']),
      state: word(['delivered', 'failed']),
      batches: progress,
      users: progress,
      deliveries: Type.Object({ delivered: count('Delivered.'), failed: count('Given up.') })
    }),
    example: {
      type: 'audience.session.settled',
      timestamp: EXAMPLE_TIME,
      data: {
        ...EXAMPLE_SESSION,
        type: 'custom',
        state: 'delivered',
        batches: { received: 3, total: 3 },
        users: { received: 25000, total: 25000 },
        deliveries: { delivered: 9, failed: 0 }
      }
    }
  },
  'audience.delivery.failed': {
    summary: 'A delivery was given up',
    description: 'One batch will not reach one platform unless it is started anew.',
    schema: message('audience.delivery.failed', {
      apiKey,
      sessionId,
      audience,
      sequence: count('The batch.'),
      provider,
      tag,
      segment: Type.String({ description: 'The name as the platform stores it.' }),
      attempts: count('Attempts that were made.'),
      error
    }),
    example: {
      type: 'audience.delivery.failed',
      timestamp: EXAMPLE_TIME,
      data: {
        ...EXAMPLE_SESSION,
        sequence: 2,
        provider: 'facebook',
        tag: 'eu-shop',
        segment: 'blotout_High_Value_Customers_Q1',
        attempts: 4,
        error: { code: 'invalid', message: 'Invalid parameter (100)' }
      }
    }
  },
  'audience.account.held': {
    summary: 'A tag waits for a person',
    description: 'A token has expired, or a permission or the consent to terms is missing.',
    schema: message('audience.account.held', { provider, account, tag, error }),
    example: {
      type: 'audience.account.held',
      timestamp: EXAMPLE_TIME,
      data: {
        ...EXAMPLE_ACCOUNT,
        error: {
          code: 'auth',
          message: 'the access token has expired; create a new one (190/463)'
        }
      }
    }
  },
  'audience.account.released': {
    summary: 'A held tag works again',
    description: 'Its deliveries go on.',
    schema: message('audience.account.released', { provider, account, tag }),
    example: {
      type: 'audience.account.released',
      timestamp: EXAMPLE_TIME,
      data: EXAMPLE_ACCOUNT
    }
  }
} as const
