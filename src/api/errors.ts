import type { FastifyError } from '@fastify/error'
import {
  ClosingError,
  ForeignOriginError,
  InternalError,
  MalformedBodyError,
  NoUsersError,
  OverloadedError,
  PayloadError,
  SegmentForeignError,
  SegmentNotFoundError,
  SessionNotFoundError,
  StoreUnavailableError,
  TooLargeError,
  TooManyStreamsError,
  UnauthorizedError,
  UploadTimeoutError,
  UsersExpiredError
} from '../errors.ts'

/** An error of the catalogue as the reference shows it. */
export interface DocumentedError {
  readonly example: FastifyError
  readonly meaning: string
  /** The text alone instead of the usual object. */
  readonly isText?: boolean
}

/** Errors that an operation can answer with; an address without an operation has its own two. */
export const documentedErrors = {
  malformedBody: {
    example: new MalformedBodyError('expected multipart/form-data'),
    meaning: 'The body is no multipart form, has no boundary, is torn or empty.',
    isText: true
  },
  payload: {
    example: new PayloadError('users[17].email must be a string.'),
    meaning: 'A field or query parameter is missing, sent twice, no JSON or of another shape.'
  },
  parameter: {
    example: new PayloadError('The query parameter "limit" must be a whole number from 1 to 200.'),
    meaning: 'A query parameter is missing, sent twice or wrong.'
  },
  compressed: {
    example: new PayloadError('A compressed body is not read here.'),
    meaning: 'The body is compressed.'
  },
  noUsers: { example: new NoUsersError(), meaning: '`users` is an empty list.', isText: true },
  unauthorized: { example: new UnauthorizedError(), meaning: 'No API key, or a wrong one.' },
  foreignOrigin: {
    example: new ForeignOriginError('host'),
    meaning:
      'The service runs without API keys, and the request names a foreign host or comes from a web page.'
  },
  sessionNotFound: {
    example: new SessionNotFoundError('1708531200'),
    meaning: 'No upload with this session id is remembered for this API key.'
  },
  segmentNotFound: {
    example: new SegmentNotFoundError(),
    meaning: 'Nothing was uploaded to it through this service, or it was deleted.'
  },
  segmentForeign: {
    example: new SegmentForeignError(),
    meaning: 'The segment was there before the service used it.'
  },
  usersExpired: {
    example: new UsersExpiredError(3),
    meaning: 'The users of the failed deliveries are not kept any more.'
  },
  uploadTimeout: {
    example: new UploadTimeoutError(),
    meaning: 'The request was not complete in time. The connection is closed.'
  },
  tooLarge: {
    example: new TooLargeError(
      'the field "users" is over the limit of 100000 users (AUDIENCE_MAX_USERS)'
    ),
    meaning: 'The body, a field, the number of parts or of users is over its limit.'
  },
  internal: { example: new InternalError(), meaning: 'A fault of the service.' },
  overloaded: {
    example: new OverloadedError(),
    meaning: 'There is more to do than the service can take.'
  },
  tooManyStreams: {
    example: new TooManyStreamsError(),
    meaning: 'This process serves as many event streams as it can.'
  },
  storeUnavailable: {
    example: new StoreUnavailableError(),
    meaning: 'The database cannot be reached or cannot write.'
  },
  closing: { example: new ClosingError(), meaning: 'The service was told to stop.' }
} as const satisfies Readonly<Record<string, DocumentedError>>

export type ErrorName = keyof typeof documentedErrors

/** Every operation that is not open can answer with these. */
export const COMMON_ERRORS: readonly ErrorName[] = [
  'unauthorized',
  'foreignOrigin',
  'internal',
  'closing'
]
