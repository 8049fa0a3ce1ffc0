import createError, { type FastifyErrorConstructor } from '@fastify/error'

/**
 * The catalogue of everything the service can answer with besides success. Codes are stable, each
 * has its status, and `docs/errors.md` documents them all (a test compares the two).
 */

/** The body is no multipart form, or a broken one. Answered as plain text. */
export const MalformedBodyError = createError<'AUD_MALFORMED_BODY', 400, [details: string]>(
  'AUD_MALFORMED_BODY',
  'Malformed request body, must be form data (%s)',
  400
)

/** A field or query parameter is missing or wrong. */
export const PayloadError = createError<'AUD_PAYLOAD', 400, [whatAndWhere: string]>(
  'AUD_PAYLOAD',
  'Payload is corrupted or missing. Please send JSON string. %s',
  400
)

/** `users` is an empty list. Answered as plain text. */
export const NoUsersError = createError<'AUD_NO_USERS', 400, []>(
  'AUD_NO_USERS',
  'No users in the segment. Segment cannot be created.',
  400
)

export const UnauthorizedError = createError<'AUD_UNAUTHORIZED', 401, []>(
  'AUD_UNAUTHORIZED',
  'A valid API key is required, sent as "Authorization: Bearer <key>".',
  401
)

/** A web page or a rebound host name reached a service that runs without authentication. */
export const ForeignOriginError = createError<'AUD_FOREIGN_ORIGIN', 403, [header: string]>(
  'AUD_FOREIGN_ORIGIN',
  'Refused: without authentication the service answers only local callers (header "%s").',
  403
)

export const RouteNotFoundError = createError<'AUD_ROUTE_NOT_FOUND', 404, []>(
  'AUD_ROUTE_NOT_FOUND',
  'There is nothing at this address.',
  404
)

export const SessionNotFoundError = createError<'AUD_SESSION_NOT_FOUND', 404, [sessionId: string]>(
  'AUD_SESSION_NOT_FOUND',
  'There is no session %s.',
  404
)

export const SegmentNotFoundError = createError<'AUD_SEGMENT_NOT_FOUND', 404, []>(
  'AUD_SEGMENT_NOT_FOUND',
  'There is no segment of this name in this account that the service knows of.',
  404
)

/** Only what the service created is deleted. */
export const SegmentForeignError = createError<'AUD_SEGMENT_FOREIGN', 409, []>(
  'AUD_SEGMENT_FOREIGN',
  'This segment was not created by the service, which therefore does not delete it.',
  409
)

export const MethodNotAllowedError = createError<'AUD_METHOD_NOT_ALLOWED', 405, [allowed: string]>(
  'AUD_METHOD_NOT_ALLOWED',
  'This address takes only %s.',
  405
)

/** The deliveries failed too long ago to be started anew. */
export const UsersExpiredError = createError<'AUD_USERS_EXPIRED', 409, [deliveries: number]>(
  'AUD_USERS_EXPIRED',
  'The users of the failed deliveries (%s) are not kept any more. Please send the upload again.',
  409
)

/** The request was not complete within the time for uploads. */
export const UploadTimeoutError = createError<'AUD_UPLOAD_TIMEOUT', 408, []>(
  'AUD_UPLOAD_TIMEOUT',
  'The upload took too long.',
  408
)

export const TooLargeError = createError<'AUD_TOO_LARGE', 413, [whatAndLimit: string]>(
  'AUD_TOO_LARGE',
  'Too large: %s.',
  413
)

export const InternalError = createError<'AUD_INTERNAL', 500, []>(
  'AUD_INTERNAL',
  'Internal error. The upload may be sent again.',
  500
)

/** Answered with `retry-after`. */
export const OverloadedError = createError<'AUD_OVERLOADED', 503, []>(
  'AUD_OVERLOADED',
  'The service is busy. Please send the upload again later.',
  503
)

/** Answered with `retry-after`. */
export const TooManyStreamsError = createError<'AUD_TOO_MANY_STREAMS', 503, []>(
  'AUD_TOO_MANY_STREAMS',
  'Too many event streams are open. Please try again later, or ask for the status.',
  503
)

/** Answered with `retry-after`. */
export const StoreUnavailableError = createError<'AUD_STORE_UNAVAILABLE', 503, []>(
  'AUD_STORE_UNAVAILABLE',
  'The database cannot be reached or cannot write. Please send the request again later.',
  503
)

/** Answered with `retry-after`. */
export const ClosingError = createError<'AUD_CLOSING', 503, []>(
  'AUD_CLOSING',
  'The service is shutting down. Please send the request again.',
  503
)

/** All of them, for the documentation's test. */
export const catalogue: readonly FastifyErrorConstructor[] = [
  MalformedBodyError,
  PayloadError,
  NoUsersError,
  UnauthorizedError,
  ForeignOriginError,
  RouteNotFoundError,
  SessionNotFoundError,
  SegmentNotFoundError,
  SegmentForeignError,
  MethodNotAllowedError,
  UsersExpiredError,
  UploadTimeoutError,
  TooLargeError,
  InternalError,
  OverloadedError,
  TooManyStreamsError,
  StoreUnavailableError,
  ClosingError
]
