/** Forms in which bytes could hold a text. */
function formsOf(text: string): Buffer[] {
  const bytes = Buffer.from(text)
  // Base64 looks different at each of three offsets; what depends on the neighbours is cut off.
  const base64 = [0, 1, 2].map((offset) => {
    const padded = Buffer.concat([Buffer.alloc(offset), bytes])
    const whole = padded.subarray(0, padded.length - (padded.length % 3))
    return whole.toString('base64').slice(Math.ceil((offset * 8) / 6))
  })
  const hex = bytes.toString('hex')
  const texts = [text, text.toLowerCase(), text.toUpperCase(), hex, hex.toUpperCase(), ...base64]
  return [...texts.map((form) => Buffer.from(form)), Buffer.from(text, 'utf16le')]
}

/** Those of the texts that the bytes hold: in clear, in hexadecimal or in base64. */
export function tracesOf(texts: readonly string[], bytes: Uint8Array): string[] {
  const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return texts.filter((text) => formsOf(text).some((form) => haystack.includes(form)))
}

/** A customer whose values are found wherever they are. */
export const MARKED_USER = {
  email: 'Zqxjkv.Wombat@Quokka-Mail.example',
  phone: '+353857531986',
  firstName: 'Wolframiane',
  lastName: 'Zschommlerin',
  country: 'IE',
  postalCode: 'D02 AF30'
}

/** What of the marked user must not be found: no postal code, such digits are everywhere. */
export const MARKS = ['zqxjkv', 'quokka-mail', '857531986', 'Wolframiane', 'Zschommlerin']
