// The events of a source, in their order.

/**
 * @param {{ subscribe(listener: (event: any) => void): unknown }} source
 * @returns {any[]} grows with every event
 */
export function recorded(source) {
  /** @type {any[]} */
  const events = []
  source.subscribe((event) => events.push(event))
  return events
}
