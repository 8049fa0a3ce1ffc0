import { html, nothing, type TemplateResult } from 'lit-html'
import type { DestinationStatus, FieldPreview, FieldReport, Row } from '../api/answers.ts'
import { count, percent } from './format.ts'
import { bar, legend, type Slice } from './parts.ts'
import { FIELD, reason } from './words.ts'

/** The quality of customers' data as a picture, and the same in words and numbers. */

const FIELDS = ['email', 'phone', 'firstName', 'lastName', 'country', 'postalCode'] as const
type Fields = Readonly<Record<(typeof FIELDS)[number], FieldReport | FieldPreview>>

/** Where a user is found, in the words of the view. */
export type RowText = (row: Row) => string

/** @param users of whom the report tells; those without a value are shown as such. */
export function fieldsPicture(fields: Fields, users: number, rowText: RowText): TemplateResult {
  return html`
    <ul class="legend" aria-hidden="true">
      <li><span class="swatch good"></span>usable as given</li>
      <li><span class="swatch warn"></span>repaired</li>
      <li><span class="swatch bad"></span>unusable</li>
      <li><span class="swatch calm"></span>no value</li>
    </ul>
    <ul class="fields">
      ${FIELDS.map((field) => fieldRow(FIELD[field], fields[field], users, rowText))}
    </ul>
  `
}

function fieldRow(
  label: string,
  report: FieldReport | FieldPreview,
  users: number,
  rowText: RowText
): TemplateResult {
  const { given, usable, repaired, unusable, hashed, why } = report
  const slices: readonly Slice[] = [
    { label: 'usable as given', value: usable - repaired, tone: 'good' },
    { label: 'repaired', value: repaired, tone: 'warn' },
    { label: 'unusable', value: unusable, tone: 'bad' },
    { label: 'without a value', value: Math.max(0, users - given), tone: 'calm' }
  ]
  return html`<li>
    <div class="field">
      <h3>${label}</h3>
      <p class="numbers">
        <b>${percent(usable, users)}</b> usable
        <span class="quiet"
          >${count(usable)} of
          ${count(users)}${
            repaired > 0 ? html`, ${count(repaired)} repaired` : nothing
          }${unusable > 0 ? html`, ${count(unusable)} unusable` : nothing}${
            hashed > 0 ? html`, ${count(hashed)} came hashed` : nothing
          }</span
        >
      </p>
    </div>
    ${bar(label, slices)} ${reasons(why, label, rowText)}
  </li>`
}

function reasons(
  why: FieldReport['why'] | FieldPreview['why'],
  label: string,
  rowText: RowText
): TemplateResult | typeof nothing {
  const entries = Object.entries(why)
  if (entries.length === 0) return nothing
  return html`<details>
    <summary>Why values are unusable<span class="unseen">: ${label}</span></summary>
    <ul class="reasons">
      ${entries.map(
        ([code, found]) =>
          html`<li>
            <b>${count(found.users)}</b> ${reason(code)} ${examplesOf(found)}
            ${
              found.rows.length > 0
                ? html`<span class="quiet rows"
                    >${rowsText(found.rows, found.users, rowText)}</span
                  >`
                : nothing
            }
          </li>`
      )}
    </ul>
  </details>`
}

type Found = FieldReport['why'][string] & { readonly examples?: readonly string[] }

/** Masked values; only a dry run has them. */
function examplesOf({ examples = [] }: Found): TemplateResult | typeof nothing {
  if (examples.length === 0) return nothing
  return html`<span class="quiet">e.g.</span> ${examples.map(
      (example) => html`<code>${example}</code> `
    )}`
}

/** Rows that are named at once; the answer has more. */
const ROWS_SHOWN = 5

function rowsText(rows: readonly Row[], users: number, rowText: RowText): string {
  const shown = rows.slice(0, ROWS_SHOWN).map(rowText).join(', ')
  return users > ROWS_SHOWN ? `${shown} …` : shown
}

const UNSENT_PHONE = 'phone_region_not_supported'
const LEVELS = ['level1', 'level2', 'level3', 'level4'] as const
const IDENTIFIERS = ['No identifier', '1 identifier'] as const

type Identified = Pick<DestinationStatus, 'identifiers' | 'leftOutBy' | 'notes'>

/** By how many identifiers people can be found at a platform: the more, the better. */
export function identifiersPicture({
  identifiers,
  leftOutBy,
  notes
}: Identified): TemplateResult | typeof nothing {
  const entries = Object.entries(identifiers)
  if (entries.length === 0) return nothing
  const most = Math.max(...entries.map(([found]) => Number(found)))
  const slices = entries
    .toSorted(([a], [b]) => Number(a) - Number(b))
    .map(([found, users]) => ({
      label: IDENTIFIERS[Number(found)] ?? `${found} identifiers`,
      value: users,
      tone: levelOf(Number(found), most)
    }))
  return html`<div class="group">
    <p class="label">People by usable identifiers</p>
    ${bar('People by usable identifiers', slices)} ${legend(slices)}
    ${
      UNSENT_PHONE in leftOutBy || UNSENT_PHONE in notes
        ? html`<p class="quiet">
            Phone numbers of regions that are not sent to this platform are counted, too.
          </p>`
        : nothing
    }
  </div>`
}

/** Nobody is found without an identifier; the most that anybody has is the strongest. */
function levelOf(found: number, most: number): Slice['tone'] {
  if (found === 0) return 'level0'
  return LEVELS[Math.ceil((found / most) * LEVELS.length) - 1] ?? 'level4'
}

/** People who come twice: platforms count some of them as left out, and some not at all. */
export function duplicatesNote(duplicates: number): TemplateResult | typeof nothing {
  if (duplicates === 0) return nothing
  return html`<p>
    <b>${count(duplicates)}</b> ${duplicates === 1 ? 'repeats' : 'repeat'} the e-mail and phone of
    somebody before them in the same batch.
  </p>`
}

/** Keys that no field was found for and that were not used. */
export function ignoredFields(
  counts: Readonly<Record<string, number>>
): TemplateResult | typeof nothing {
  const entries = Object.entries(counts)
  if (entries.length === 0) return nothing
  return html`<p class="quiet">
    Not used: ${entries.map(([name, users]) => html`<code>${name}</code> (${count(users)}) `)}
  </p>`
}
