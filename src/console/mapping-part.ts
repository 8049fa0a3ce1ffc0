import { html, nothing, type TemplateResult } from 'lit-html'
import { live } from 'lit-html/directives/live.js'
import type { User } from '../audience/schemas.ts'
import { columnLabel } from '../intake/column-label.ts'
import { columnsOf } from '../intake/columns.ts'
import {
  CUSTOMER_FIELDS,
  type CustomerField,
  type Layout,
  type Mapping,
  type Survey
} from '../intake/intake.ts'
import { FIELD } from './words.ts'

/** Which column is which field, to be looked at and corrected before anything is sent. */

export interface MappingPart {
  readonly survey: Survey
  readonly mapping: Mapping
  readonly users: readonly User[]
  readonly onChange: (field: CustomerField, column: string | undefined) => void
}

const FORMAT: Readonly<Record<Layout['format'], string>> = {
  csv: 'CSV',
  ndjson: 'one JSON object per line',
  json: 'JSON array'
}
const SEPARATOR: Readonly<Record<string, string>> = {
  ',': 'commas',
  ';': 'semicolons',
  '\t': 'tabs',
  '|': 'vertical bars'
}

/** How the file is written: `CSV, separated by semicolons, Windows-1252, gzip`. */
export function layoutText({ format, isGzip, encoding, separator }: Layout): string {
  return [
    FORMAT[format],
    ...(separator === undefined ? [] : [`separated by ${SEPARATOR[separator] ?? separator}`]),
    encoding.toUpperCase(),
    ...(isGzip ? ['gzip'] : [])
  ].join(', ')
}

export function mappingPart({ survey, mapping, users, onChange }: MappingPart): TemplateResult {
  const { layout, fallbacks } = survey
  const columnsFor = (field: CustomerField) => columnsOf(field, mapping, fallbacks)
  const used = new Set(CUSTOMER_FIELDS.flatMap(columnsFor))
  const unused = layout.columns.filter((column) => !used.has(column))
  const fields = CUSTOMER_FIELDS.filter((field) => mapping[field] !== undefined)
  return html`
    <div class="mapping">
      ${CUSTOMER_FIELDS.map((field) => fieldSelect(field, columnsFor(field), survey, onChange))}
    </div>
    ${
      unused.length === 0
        ? nothing
        : html`<p class="quiet">
            Columns that are not sent:
            ${unused.map((column) => html`<code>${columnLabel(layout.columns, column)}</code> `)}
          </p>`
    }
    <h3 id="first-rows">First people, as they would be sent</h3>
    <div class="scroll" role="region" aria-labelledby="first-rows" tabindex="0">
      <table class="preview">
        <thead>
          <tr>
            ${fields.map((field) => html`<th scope="col">${FIELD[field]}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${users.map(
            (user) =>
              html`<tr>
                ${fields.map((field) => html`<td>${valueOf(user, field)}</td>`)}
              </tr>`
          )}
        </tbody>
      </table>
    </div>
  `
}

function fieldSelect(
  field: CustomerField,
  used: readonly string[],
  { layout: { columns }, otherTypes }: Survey,
  onChange: MappingPart['onChange']
): TemplateResult {
  const id = `column-${field.replace('.', '-')}`
  const change = ({ target }: Event) => {
    if (target instanceof HTMLSelectElement) onChange(field, columns[Number(target.value)])
  }
  const [chosen, ...others] = used
  const index = chosen === undefined ? -1 : columns.indexOf(chosen)
  const left = used.reduce((sum, column) => sum + (otherTypes.get(column) ?? 0), 0)
  return html`<div>
    <label for=${id}>${FIELD[field]}</label>
    <select
      id=${id}
      @change=${change}
      .value=${live(String(index))}
      class=${index < 0 ? 'none' : ''}
    >
      <option value="-1" ?selected=${index < 0}>not in the file</option>
      ${columns.map(
        (column, at) => html`<option value=${at} ?selected=${at === index}>${column}</option>`
      )}
    </select>
    ${others.map((column) => html`<span class="quiet">else ${columnLabel(columns, column)}</span> `)}
    ${
      left === 0
        ? nothing
        : html`<span class="quiet">left out, as neither text nor number: ${left}</span>`
    }
  </div>`
}

function valueOf(user: User, field: CustomerField): string | number {
  const { purchase, ...texts } = user
  const [first = {}] = [purchase ?? []].flat()
  switch (field) {
    case 'purchase.currency':
      return first.currency ?? ''
    case 'purchase.profit':
      return first.profit ?? ''
    case 'purchase.total7Days':
      return first.total7Days ?? ''
    default:
      return texts[field] ?? ''
  }
}
