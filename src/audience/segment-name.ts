export interface SegmentNameOptions {
  readonly prefix: string
  readonly disablePrefix: boolean
}

/**
 * The name of the segment at the platforms: `High Value Customers` -> `blotout_High_Value_Customers`
 * with the prefix `blotout_`, or exactly the given name where the caller wants no prefix.
 */
export function segmentName(name: string, { prefix, disablePrefix }: SegmentNameOptions): string {
  return disablePrefix ? name : prefix + name.trim().replace(/\s+/g, '_')
}
