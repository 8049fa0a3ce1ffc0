import { html, nothing, svg, type TemplateResult } from 'lit-html'
import { count, percent } from './format.ts'
import { adviceFor, type Trouble } from './advice.ts'
import { type Named, reason, type Tone } from './words.ts'

/** Small pieces that several views show. */

export const badge = ({ label, tone }: Named) => html`<span class="badge ${tone}">${label}</span>`

/** A part of a bar. */
export interface Slice {
  readonly label: string
  readonly value: number
  readonly tone: Tone | 'level0' | 'level1' | 'level2' | 'level3' | 'level4'
}

/**
 * A whole and its parts as a picture with a text equivalent. SVG attributes place the parts: the
 * content security policy allows no inline styles.
 */
export function bar(label: string, slices: readonly Slice[]): TemplateResult {
  const total = slices.reduce((sum, { value }) => sum + value, 0)
  const shown = slices.filter(({ value }) => value > 0)
  const texts = shown.map((slice) => `${count(slice.value)} ${slice.label.toLowerCase()}`)
  const text = total === 0 ? 'none' : texts.join(', ')
  let from = 0
  return html`<svg
    class="bar"
    role="img"
    aria-label="${label}: ${text}"
    viewBox="0 0 1000 10"
    preserveAspectRatio="none"
  >
    ${shown.map(({ value, tone }) => {
      const start = from
      from += (value / total) * 1000
      return svg`<rect class=${tone} x=${start} y="0" width=${from - start} height="10"></rect>`
    })}
  </svg>`
}

/** The same parts as a line of words, each with the colour that it has in the bar. */
export function legend(slices: readonly Slice[]): TemplateResult {
  const total = slices.reduce((sum, { value }) => sum + value, 0)
  return html`<ul class="legend">
    ${slices
      .filter(({ value }) => value > 0)
      .map(
        ({ label, value, tone }) =>
          html`<li>
            <span class="swatch ${tone}"></span>${label} <b>${count(value)}</b>
            <span class="quiet">${percent(value, total)}</span>
          </li>`
      )}
  </ul>`
}

/** How far something is that has an end. */
export function progress(label: string, done: number, total: number): TemplateResult {
  return html`<progress aria-label=${label} max=${Math.max(total, 1)} .value=${done}></progress>`
}

/** Reasons and how many people each concerns; nothing where there are none. */
export function reasonList(
  heading: string,
  counts: Readonly<Record<string, number>>
): TemplateResult | typeof nothing {
  const entries = Object.entries(counts).toSorted(([, a], [, b]) => b - a)
  if (entries.length === 0) return nothing
  return html`<div class="group">
    <p class="label">${heading}</p>
    <ul class="reasons">
      ${entries.map(([code, users]) => html`<li><b>${count(users)}</b> ${reason(code)}</li>`)}
    </ul>
  </div>`
}

/** An error of a platform, and what to do about it. */
export function errorWithAdvice(error: Trouble, isFinal: boolean): TemplateResult {
  const { what, readMore } = adviceFor(error, isFinal)
  return html`<div class="error">
    <p class="message">${error.message} <code>${error.code}</code></p>
    <p><b>What to do:</b> ${what} <span class="quiet">More in ${readMore}.</span></p>
  </div>`
}

/** Numbers with their names. */
export function figures(
  items: readonly (readonly [name: string, value: string | TemplateResult])[]
): TemplateResult {
  return html`<dl class="figures">
    ${items.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`
    )}
  </dl>`
}
