import { test } from 'tap'
import { createWaits } from '../../src/dispatch/waits.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { IN_MEMORY } from '../../src/store/sqlite-file.ts'
import { EU, OPTIONS, sealed, T0, upload, US } from '../store/contract.ts'

test('what was read does not hide from the caller what happened meanwhile', async (t) => {
  const store = await openSqlite({ path: IN_MEMORY, ...OPTIONS })
  t.teardown(() => store.close())
  const { deliveries } = await store.accept(upload(), sealed(), [EU, US])
  const [eu = '', us = ''] = deliveries.map(({ id }) => id)
  const [read, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const accounts = store.accounts.bind(store)
  store.accounts = async () => {
    const known = await accounts()
    read.resolve()
    await goOn.promise
    return known
  }
  const waits = createWaits({ store, isShared: false, retryForMs: 1 })
  const answer = waits.wait(deliveries, 60_000)
  await read.promise
  const lastError = { code: 'invalid', message: 'refused' }
  waits.changed(await store.changeDelivery(eu, { state: 'failed', lastError }, T0))
  goOn.resolve()
  waits.changed(await store.changeDelivery(us, { state: 'delivered' }, T0))
  t.same(
    (await answer).map(({ state, lastError: error }) => ({ state, error })),
    [
      { state: 'failed', error: lastError },
      { state: 'delivered', error: undefined }
    ]
  )
})
