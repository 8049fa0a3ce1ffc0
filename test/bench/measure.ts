import { availableParallelism, cpus } from 'node:os'

/**
 * What all benches share: rounds in which everything to compare has its turn, and the report. Times
 * of a shared machine differ by a third from run to run, ratios of one round hardly do.
 */

/** What some runs or rounds gave. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export function spread(samples: readonly number[]): Spread {
  const sorted = samples.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const low = sorted[Math.ceil(middle) - 1]
  const high = sorted[Math.floor(middle)]
  const [min, max] = [sorted[0], sorted.at(-1)]
  if (low === undefined || high === undefined || min === undefined || max === undefined) {
    throw new RangeError('no samples')
  }
  return { median: (low + high) / 2, min, max }
}

/** The spread of `above[round] / below[round]`. */
export function ratio(above: readonly number[], below: readonly number[]): Spread {
  return spread(above.map((sample, round) => sample / (below[round] ?? Number.NaN)))
}

export interface Rounds {
  /** Rounds that do not count: those of a cold compiler. */
  readonly warmUp: number
  readonly counted: number
}

/** The milliseconds that each of them took in each round. Who begins changes from round to round. */
export async function interleave<Name extends string>(
  contenders: Readonly<Record<Name, () => unknown>>,
  { warmUp, counted }: Rounds
): Promise<Readonly<Record<Name, readonly number[]>>> {
  const names = Object.keys(contenders) as Name[]
  const times = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<
    Name,
    number[]
  >
  for (let round = -warmUp; round < counted; round += 1) {
    const first = (round + warmUp) % names.length
    for (const name of [...names.slice(first), ...names.slice(0, first)]) {
      const start = performance.now()
      await contenders[name]()
      const took = performance.now() - start
      if (round >= 0) times[name].push(took)
    }
  }
  return times
}

/** A line of the report. */
export interface Figure {
  readonly name: string
  readonly value: Spread | number
  /** `ms`, `MB`, `users/s`; left out for ratios. */
  readonly unit?: string
  /** What the figure should be, e.g. `≥ 3`. */
  readonly wanted?: string
}

/** Prints one line of JSON and a Markdown table; ratios belong first. */
export function report(bench: string, figures: readonly Figure[]): void {
  const machine = `${availableParallelism()} cores, ${cpus()[0]?.model.trim()}, Node ${process.version}`
  const lines = figures.map(({ value, ...rest }) => ({ ...rest, value: rounded(value) }))
  console.log(JSON.stringify({ bench, machine, figures: lines }))
  console.log(`\n| ${bench} | Figure | Wanted |\n| --- | --- | --- |`)
  for (const figure of figures) {
    console.log(`| ${figure.name} | ${shown(figure)} | ${figure.wanted ?? ''} |`)
  }
  console.log('')
}

function shown({ value, unit }: Figure): string {
  const spreadShown =
    typeof value === 'number'
      ? digits(value)
      : `${digits(value.median)} (${digits(value.min)}-${digits(value.max)})`
  return unit === undefined ? spreadShown : `${spreadShown} ${unit}`
}

/** Three digits tell all that can be told. */
function digits(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString('en-US', { maximumFractionDigits: 3 })
}

function rounded(value: Spread | number): Spread | number {
  if (typeof value === 'number') return Number(value.toPrecision(4))
  const { median, min, max } = value
  return {
    median: Number(median.toPrecision(4)),
    min: Number(min.toPrecision(4)),
    max: Number(max.toPrecision(4))
  }
}
