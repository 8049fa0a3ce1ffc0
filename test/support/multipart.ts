import { request } from 'node:http'

export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

export interface RawRequest {
  readonly headers?: Readonly<Record<string, string>>
  /** Sent one after the other; chunked unless a `content-length` header is given. */
  readonly chunks: readonly (string | Buffer)[]
}

/** Posts bytes as they are, so that a test decides about every one of them. */
export function postRaw(url: string, { headers = {}, chunks }: RawRequest): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const call = request(url, { method: 'POST', headers, agent: false }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (chunk: string) => (text += chunk))
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text })
      )
    })
    call.on('error', reject)
    for (const chunk of chunks) call.write(chunk)
    call.end()
  })
}

export const BOUNDARY = '----FormBoundary'

/** One part of a form with this boundary; `headers` are further lines. */
export function part(name: string, value: string, headers = ''): string {
  return `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n${headers}\r\n${value}\r\n`
}

export const END = `--${BOUNDARY}--\r\n`

export const FORM_TYPE = `multipart/form-data; boundary=${BOUNDARY}`
