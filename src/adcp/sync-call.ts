import type { AdcpErrorBody } from './protocol.ts'

/** A call of `sync_audiences`, checked, without its members. */
export interface SyncCall {
  readonly idempotencyKey: string
  readonly account: AccountReference
  /** `undefined`: the audiences are only listed. */
  readonly audiences: readonly CalledAudience[] | undefined
  readonly deleteMissing: boolean
  readonly push: PushConfig | undefined
  /** SHA-256 of what makes two calls the same, in hex (RFC 8785; "Idempotency", closed list). */
  readonly requestHash: string
}

/** `account_id`, or the natural key: all of it counts (`core/account-ref.json`). */
export type AccountReference =
  | { readonly accountId: string }
  | {
      readonly brand: {
        readonly domain: string
        readonly brandId?: string
        readonly countries?: readonly string[]
      }
      readonly operator: string
      readonly operatorUnitId?: string
      readonly currency?: string
      readonly timezone?: string
      readonly sandbox: boolean
    }

export interface CalledAudience {
  readonly audienceId: string
  readonly name?: string
  readonly description?: string
  readonly type?: 'crm' | 'suppression' | 'lookalike_seed'
  readonly tags?: readonly string[]
  readonly consentBasis?: 'consent' | 'legitimate_interest' | 'contract' | 'legal_obligation'
  readonly isDeleted: boolean
  /** Why nothing is done with it, though the call as a whole is valid. */
  readonly problem?: AdcpErrorBody
  readonly add?: MemberList
  readonly remove?: MemberList
}

/** Members of one audience, in the form of `users` of an upload: JSON, in UTF-8. */
export interface MemberList {
  readonly count: number
  /**
   * `[{"edgeTagId":…,"email":<hash>,"phone":<hash>},…]`. Those who are also removed by the same call are
   * not among those to add.
   */
  readonly users: Uint8Array<ArrayBuffer>
  /** Members with an e-mail hash, and with a phone hash. */
  readonly emails: number
  readonly phones: number
}

export interface PushConfig {
  readonly url: string
  readonly operationId?: string
  readonly token?: string
  readonly authentication?: { readonly scheme: string; readonly credentials: string }
  /** The call's own, echoed with the push; never read. */
  readonly context?: unknown
}
