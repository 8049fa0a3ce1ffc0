import { type TObject, type TSchema, Type } from 'typebox'
import {
  Done,
  DryRun,
  Failure,
  Health,
  Pending,
  Providers,
  Retried,
  Segments,
  Sessions,
  SessionStatus
} from './answers.ts'
import type { ErrorName } from './errors.ts'
import * as examples from './examples.ts'
import {
  DeleteParameters,
  EventsHeaders,
  ProvidersParameters,
  RetryParameters,
  SegmentsParameters,
  SessionParameters,
  SessionPath,
  SessionsParameters,
  UploadForm,
  UploadParameters
} from './requests.ts'
import {
  BrandFile,
  EXAMPLE_STREAM,
  EventStream,
  JwkSet,
  RpcAnswer,
  RpcMessage
} from './protocols.ts'

/** Groups of operations, in the order of the reference. */
export const TAGS = {
  Uploads: 'Send customers, and see what becomes of them.',
  Segments: 'What the platforms have.',
  Platforms: 'What is configured, and whether it works.',
  AdCP: 'The service as an agent of the Ad Context Protocol.',
  Operation: 'For load balancers, monitoring and programs that read this document.',
  Webhooks: 'What the service tells the addresses of its configuration, see `docs/webhooks.md`.'
} as const

/** Headers of answers beside those that every answer has. */
export const HEADERS = {
  location: 'Address of the status of the session.',
  'x-duplicate': '`true` where the service has had exactly this upload before.',
  'x-error-code': 'Stable code of the error; not there where deliveries failed.',
  'retry-after': 'Seconds after which to try again.',
  'www-authenticate': 'Always `Bearer`.',
  'cache-control': 'How long others may keep the answer.'
} as const
export type HeaderName = keyof typeof HEADERS

export interface Content {
  readonly schema: TSchema
  readonly examples: Readonly<Record<string, unknown>>
}

/** One status that an operation answers with. */
export interface Answer {
  readonly description: string
  readonly headers?: readonly HeaderName[]
  /** By media type; nothing where the answer has no body. */
  readonly content: Readonly<Record<string, Content>>
}

export interface ErrorBody {
  readonly schema: TSchema
  readonly show: (message: string) => unknown
}

/** What one route does, beyond what the route itself tells. */
export interface Operation {
  readonly tag: keyof typeof TAGS
  readonly summary: string
  readonly description: string
  readonly path?: TObject
  readonly query?: TObject
  readonly headers?: TObject
  readonly body?: { readonly type: string; readonly schema: TSchema }
  readonly answers: Readonly<Record<number, Answer>>
  /** Beside those that all operations have in common. */
  readonly errors: readonly ErrorName[]
  /** By status: errors whose body is not the usual one. */
  readonly ownBodies?: Readonly<Record<number, ErrorBody>>
}

function json(
  description: string,
  schema: TSchema,
  shown: Readonly<Record<string, unknown>>,
  headers: readonly HeaderName[] = []
): Answer {
  return { description, headers, content: { 'application/json': { schema, examples: shown } } }
}

const DONE = { success: true }
const PENDING = { success: true, pending: ['klaviyo/eu-shop'] }
const FAILED = {
  success: false,
  errors: [
    'facebook/default: Meta gave no readable answer (HTTP 500); retried until 2026-11-23T07:53:33.906Z'
  ]
}

const uploadAudience: Operation = {
  tag: 'Uploads',
  summary: 'Send one batch of customers to all platforms',
  description:
    'Takes one batch of customers, to be added to or taken out of the segment of that name at every configured platform. It is answered once the batch is safe; the platforms get it afterwards. With `sync=true` the answer waits for them, with `dryRun=true` nothing is sent.\n\nThe same upload is not delivered twice: after a lost answer or a 5xx it can be sent again.',
  query: UploadParameters,
  body: { type: 'multipart/form-data', schema: UploadForm },
  answers: {
    200: json(
      'It was accepted; with `sync`, every platform took everything; with `dryRun`, what would happen.',
      Type.Union([Done, DryRun]),
      { accepted: DONE, dryRun: examples.dryRun },
      ['location', 'x-duplicate']
    ),
    202: json(
      '`sync`: at the time limit some deliveries are unfinished and none failed.',
      Pending,
      { pending: PENDING },
      ['location', 'x-duplicate']
    ),
    400: json(
      'With `location`: it was accepted, and with `sync` some deliveries failed. With `x-error-code`: it was refused and reached no platform.',
      Failure,
      { failed: FAILED },
      ['location', 'x-duplicate']
    )
  },
  errors: [
    'malformedBody',
    'payload',
    'noUsers',
    'uploadTimeout',
    'tooLarge',
    'overloaded',
    'storeUnavailable'
  ]
}

const listSessions: Operation = {
  tag: 'Uploads',
  summary: 'List sessions',
  description: 'All uploads of this API key, the latest change first.',
  query: SessionsParameters,
  answers: { 200: json('One page of them.', Sessions, { sessions: examples.sessions }) },
  errors: ['parameter', 'storeUnavailable']
}

const getSession: Operation = {
  tag: 'Uploads',
  summary: 'See what happened to an upload',
  description:
    'What happened to every batch at every platform, and how good the data is. `state`, `limit` and `cursor` choose the page of single deliveries; everything else is about the whole session.',
  path: SessionPath,
  query: SessionParameters,
  answers: { 200: json('Its status.', SessionStatus, { session: examples.session }) },
  errors: ['parameter', 'sessionNotFound', 'storeUnavailable']
}

const retrySession: Operation = {
  tag: 'Uploads',
  summary: 'Start failed deliveries anew',
  description:
    'Starts the failed deliveries of a session anew, behind what was accepted for their segments since. Deliveries that add users to a segment from which users were removed since are left alone. A body is not looked at.',
  path: SessionPath,
  query: RetryParameters,
  answers: { 200: json('What was started.', Retried, { retried: examples.retried }) },
  errors: ['parameter', 'sessionNotFound', 'usersExpired', 'storeUnavailable']
}

const followSession: Operation = {
  tag: 'Uploads',
  summary: 'Follow a session',
  description:
    'Server-sent events: everything that is newer than `last-event-id`, then each change within about half a second. The stream stays open after the session has settled. A comment comes every 15 seconds.',
  path: SessionPath,
  headers: EventsHeaders,
  answers: {
    200: {
      description: 'The stream.',
      headers: ['cache-control'],
      content: {
        'text/event-stream': { schema: EventStream, examples: { stream: EXAMPLE_STREAM } }
      }
    }
  },
  errors: ['sessionNotFound', 'tooManyStreams', 'storeUnavailable']
}

const listSegments: Operation = {
  tag: 'Segments',
  summary: 'List segments',
  description:
    'The segments that this service has found or created and not deleted, and how they stand at their platforms. A platform is asked about each once a minute at most.',
  query: SegmentsParameters,
  answers: { 200: json('One page of them.', Segments, { segments: examples.segments }) },
  errors: ['parameter', 'storeUnavailable']
}

const deleteSegment: Operation = {
  tag: 'Segments',
  summary: 'Delete a segment that the service created',
  description:
    'Deletes the whole segment at its platform; people and profiles stay. What still waits for it is cancelled. A deletion is accepted and delivered like an upload.',
  query: DeleteParameters,
  answers: {
    200: json('It was accepted; with `sync`, it is deleted.', Done, { accepted: DONE }, [
      'location'
    ]),
    202: json('`sync`: it is not done at the time limit.', Pending, { pending: PENDING }, [
      'location'
    ]),
    400: json(
      'With `location`: it was accepted, and with `sync` it failed so far.',
      Failure,
      { failed: FAILED },
      ['location']
    )
  },
  errors: ['parameter', 'segmentNotFound', 'segmentForeign', 'storeUnavailable']
}

const listProviders: Operation = {
  tag: 'Platforms',
  summary: 'List what is configured',
  description:
    'One entry per configured tag: what the platform matches on, its limits, whether the service sends to the account now, and with `check=true` whether it works. The result of a check is kept for a minute.',
  query: ProvidersParameters,
  answers: { 200: json('All of them.', Providers, { providers: examples.providers }) },
  errors: ['parameter', 'storeUnavailable']
}

const rpcError = (code: number, message: string) => ({
  jsonrpc: '2.0',
  id: null,
  error: { code, message }
})

const callAgent: Operation = {
  tag: 'AdCP',
  summary: 'Call the service as an AdCP agent',
  description:
    'MCP over Streamable HTTP, without a session: one JSON-RPC message in, its answer out. Which tools there are, and what they take, is told by `tools/list` and in `docs/adcp.md`.',
  body: { type: 'application/json', schema: RpcMessage },
  answers: {
    200: json('The answer.', RpcAnswer, {
      tools: { jsonrpc: '2.0', id: 1, result: { tools: [] } }
    }),
    202: { description: 'A notification was taken; there is nothing to answer.', content: {} },
    400: json('It is no message of MCP.', RpcAnswer, {
      parse: rpcError(-32_700, 'Parse error')
    }),
    415: json('The body is no JSON.', RpcAnswer, {
      type: rpcError(-32_000, 'Unsupported Media Type: Content-Type must be application/json')
    })
  },
  errors: ['malformedBody', 'compressed', 'uploadTimeout', 'tooLarge', 'overloaded'],
  ownBodies: {
    503: { schema: RpcAnswer, show: (message) => rpcError(-32_027, message) }
  }
}

const getKeys: Operation = {
  tag: 'AdCP',
  summary: 'Keys of signed pushes',
  description:
    'Public keys with which receivers check what this service pushes to them (RFC 7517).',
  answers: {
    200: json(
      'The keys.',
      JwkSet,
      {
        keys: {
          keys: [
            {
              crv: 'Ed25519',
              x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
              kty: 'OKP',
              kid: 'k_2f5d0e0b',
              alg: 'EdDSA',
              use: 'sig',
              key_ops: ['verify'],
              adcp_use: 'webhook-signing'
            }
          ]
        }
      },
      ['cache-control']
    )
  },
  errors: []
}

const getBrand: Operation = {
  tag: 'AdCP',
  summary: 'The agent as others find it',
  description: 'Where the agent and its keys are. There only with `AUDIENCE_PUBLIC_URL`.',
  answers: {
    200: json(
      'The file.',
      BrandFile,
      {
        brand: {
          version: '1.0',
          agents: [
            {
              type: 'sales',
              id: 'audience-api',
              url: 'https://audience.example/mcp',
              jwks_uri: 'https://audience.example/.well-known/jwks.json'
            }
          ]
        }
      },
      ['cache-control']
    )
  },
  errors: []
}

const isAlive: Operation = {
  tag: 'Operation',
  summary: 'Does the process answer?',
  description: 'Depends on nothing.',
  answers: { 200: json('It does.', Health, { ok: { status: 'ok' } }) },
  errors: []
}

const isReady: Operation = {
  tag: 'Operation',
  summary: 'Does the service take uploads?',
  description:
    'Depends on no platform. The database is asked about every second, not by this call.',
  answers: {
    200: json('It does.', Health, { ok: { status: 'ok' } }),
    503: json('Load balancers should turn to another instance.', Health, {
      closing: { status: 'closing' },
      store: { status: 'store unavailable' }
    })
  },
  errors: []
}

const METRICS = 'audience_backlog_deliveries 0\n'

const getMetrics: Operation = {
  tag: 'Operation',
  summary: 'Metrics',
  description:
    'For Prometheus and what reads the same: as OpenMetrics where `accept` names it. See `docs/metrics.md`.',
  answers: {
    200: {
      description: 'All of them.',
      content: {
        'application/openmetrics-text': {
          schema: Type.String(),
          examples: { openmetrics: `${METRICS}# EOF\n` }
        },
        'text/plain': { schema: Type.String(), examples: { prometheus: METRICS } }
      }
    }
  },
  errors: ['storeUnavailable']
}

const getReference: Operation = {
  tag: 'Operation',
  summary: 'This document',
  description: 'OpenAPI 3.1, made from the schemas of the service that answers.',
  answers: {
    200: json('The document.', Type.Object({ openapi: Type.String() }), {
      document: { openapi: '3.1.1' }
    })
  },
  errors: []
}

/** By the `operationId` in the schema of each route. */
export const operations: Readonly<Record<string, Operation>> = {
  uploadAudience,
  listSessions,
  getSession,
  retrySession,
  followSession,
  listSegments,
  deleteSegment,
  listProviders,
  callAgent,
  getKeys,
  getBrand,
  isAlive,
  isReady,
  getMetrics,
  getReference
}
