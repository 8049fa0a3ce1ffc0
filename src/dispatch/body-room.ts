/**
 * Room in memory for the request bodies of deliveries under way. How large bodies become is known once
 * they are made, so it is full when what is there has reached its size, and no account may fill more
 * than half of it. An account that holds nothing may always have one delivery: however slow the others
 * are, it does not wait for them.
 */
export interface BodyRoom {
  /** What the bodies in it take. */
  readonly takenBytes: number
  readonly sizeBytes: number
  /**
   * Waits until the bodies of a delivery may be made.
   * @throws the signal's reason
   */
  enter(delivery: Entering, signal: AbortSignal): Promise<Stay>
}

export interface Entering {
  readonly account: string
  /** Bodies of one upload are made together. */
  readonly uploadId: string
}

/** To be left when the bodies are not needed any more, made or not. */
export interface Stay {
  /** The bodies were made. */
  has(bytes: number): void
  leave(): void
}

export interface BodyRoomOptions {
  readonly sizeBytes: number
  /** Uploads whose bodies are made at the same time. */
  readonly madeAtOnce: number
}

/** What one account has in the room. */
interface Share {
  stays: number
  bytes: number
}

const NOTHING: Readonly<Share> = { stays: 0, bytes: 0 }

export function createBodyRoom({ sizeBytes, madeAtOnce }: BodyRoomOptions): BodyRoom {
  const shares = new Map<string, Share>()
  /** How many deliveries wait for the bodies of each upload. */
  const making = new Map<string, number>()
  /** What each that waits is told when it may enter. */
  const line = new Map<() => void, Entering>()
  let takenBytes = 0

  function isWelcome({ account, uploadId }: Entering): boolean {
    const { stays, bytes } = shares.get(account) ?? NOTHING
    if (stays === 0) return true
    const isThreadFree = making.has(uploadId) || making.size < madeAtOnce
    return isThreadFree && takenBytes < sizeBytes && bytes < sizeBytes / 2
  }

  function admit(): void {
    for (const [enter, next] of line) if (isWelcome(next)) enter()
  }

  function change(account: string, stays: number, bytes: number): void {
    const share = shares.get(account) ?? { ...NOTHING }
    share.stays += stays
    share.bytes += bytes
    takenBytes += bytes
    if (share.stays === 0) shares.delete(account)
    else shares.set(account, share)
  }

  function expect(uploadId: string, bodies: 1 | -1): void {
    const left = (making.get(uploadId) ?? 0) + bodies
    if (left === 0) making.delete(uploadId)
    else making.set(uploadId, left)
  }

  function take({ account, uploadId }: Entering): Stay {
    let had: number | undefined
    change(account, 1, 0)
    expect(uploadId, 1)
    return {
      has(bytes) {
        expect(uploadId, -1)
        change(account, 0, bytes)
        had = bytes
        admit()
      },
      leave() {
        if (had === undefined) expect(uploadId, -1)
        change(account, -1, -(had ?? 0))
        admit()
      }
    }
  }

  async function wait(delivery: Entering, signal: AbortSignal): Promise<Stay> {
    const { promise, resolve, reject } = Promise.withResolvers<Stay>()
    const enter = () => {
      line.delete(enter)
      resolve(take(delivery))
    }
    const giveUp = () => {
      if (line.delete(enter)) reject(signal.reason)
    }
    line.set(enter, delivery)
    signal.addEventListener('abort', giveUp)
    return promise.finally(() => signal.removeEventListener('abort', giveUp))
  }

  return {
    get takenBytes() {
      return takenBytes
    },
    sizeBytes,
    async enter(delivery, signal) {
      signal.throwIfAborted()
      return isWelcome(delivery) ? take(delivery) : wait(delivery, signal)
    }
  }
}
