/** A line with a value. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Family {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly samples: Sample[]
}

/** What the names of samples end with, see the specification's section on suffixes. */
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: ['_total'],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count']
}
const META = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,(?!$)|$)/y
const NUMBER = /^(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]Inf|NaN)$/

/**
 * Reads a text of OpenMetrics 1.0 as its specification has it, as far as we use it.
 * @throws Error naming what is wrong.
 * @see https://prometheus.io/docs/specs/om/open_metrics_spec/
 */
export function parseOpenMetrics(text: string): Family[] {
  const lines = text.split('\n')
  if (lines.pop() !== '' || lines.pop() !== '# EOF') throw new Error('it does not end as it must')
  const families: { name: string; type: string; help: string; samples: Sample[] }[] = []
  const seen = new Set<string>()
  for (const line of lines) {
    const [, kind, name = '', told = ''] = META.exec(line) ?? []
    const current = families.at(-1)
    if (kind === undefined) {
      if (current === undefined) throw new Error(`a value before all names: ${line}`)
      current.samples.push(readSample(line, current, seen))
    } else if (current?.name === name) {
      if (current.samples.length > 0) throw new Error(`too late: ${line}`)
      current[kind === 'TYPE' ? 'type' : 'help'] = told
    } else {
      if (families.some((family) => family.name === name)) throw new Error(`again: ${line}`)
      families.push({ name, type: '', help: '', samples: [], [kind.toLowerCase()]: told })
    }
  }
  for (const family of families) checkFamily(family)
  return families
}

function readSample(line: string, family: Family, seen: Set<string>): Sample {
  const [, name = '', labelText = '', number = ''] = SAMPLE.exec(line) ?? []
  const suffixes = SUFFIXES[family.type] ?? []
  if (!suffixes.some((suffix) => name === family.name + suffix)) {
    throw new Error(`not of ${family.type} ${family.name}: ${line}`)
  }
  if (!NUMBER.test(number)) throw new Error(`no number: ${line}`)
  const labels = readLabels(labelText)
  const pairs = Object.entries(labels).map(([label, value]) => JSON.stringify([label, value]))
  const series = `${name} ${pairs.toSorted().join()}`
  if (seen.has(series)) throw new Error(`twice: ${line}`)
  seen.add(series)
  return { name, labels, value: Number(number.replace('Inf', 'Infinity')) }
}

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  LABEL.lastIndex = 0
  while (LABEL.lastIndex < text.length) {
    const [, name = '', value = ''] = LABEL.exec(text) ?? []
    if (name === '' || name in labels) throw new Error(`labels that cannot be read: ${text}`)
    labels[name] = value.replace(/\\(.)/g, (_all, char: string) => (char === 'n' ? '\n' : char))
  }
  return labels
}

function checkFamily({ name, type, help, samples }: Family): void {
  if (!(type in SUFFIXES)) throw new Error(`${name} is of no type that we use: ${type}`)
  if (help === '') throw new Error(`${name} does not say what it is`)
  if (type === 'counter' && samples.some(({ value }) => !(value >= 0))) {
    throw new Error(`${name} counts below zero`)
  }
  if (type === 'histogram') checkBuckets(name, samples)
}

/** Buckets count up to the last one, which has all. */
function checkBuckets(name: string, samples: readonly Sample[]): void {
  const seriesOf = ({ labels: { le: _le, ...labels } }: Sample) => JSON.stringify(labels)
  for (const [series, of] of Map.groupBy(samples, seriesOf)) {
    const buckets = of.filter((sample) => sample.name === `${name}_bucket`)
    const limits = buckets.map(({ labels }) => Number(labels['le']?.replace('Inf', 'Infinity')))
    const counts = buckets.map(({ value }) => value)
    const count = of.find((sample) => sample.name === `${name}_count`)?.value
    const grows = (list: readonly number[]) => list.every((one, i) => one >= (list[i - 1] ?? 0))
    if (!grows(limits) || !grows(counts)) throw new Error(`${name}${series} does not grow`)
    if (limits.at(-1) !== Infinity || counts.at(-1) !== count) {
      throw new Error(`${name}${series} does not end with all`)
    }
  }
}
