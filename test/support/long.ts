/** Whether the long forms of tests run as well: `npm run test:long`. */
export const IS_LONG = Boolean(process.env['AUDIENCE_TEST_LONG'])

/** For tests that the short form leaves out: what they take is mostly waiting for processes. */
export const LONG_ONLY = { skip: IS_LONG ? false : 'in the long form' } as const
