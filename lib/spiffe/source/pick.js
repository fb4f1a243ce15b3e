'use strict'
/** Which of several SVIDs is meant. */

const { CountersignError, invalidArgument, shown } = require('../../native/errors')
const { SpiffeId } = require('../id')

/** The ways to say it; one of them at a time. */
const PICKS = /** @type {const} */ (['hint', 'spiffeId', 'path', 'pick'])

/**
 * @typedef {{
 *   readonly labels: readonly (readonly [string, string | null])[],
 *   svid (index: number): any,
 *   readonly svids: readonly any[],
 * }} Offer SVIDs of one kind, made when asked for
 */

/**
 * The choice as a function from an offer to the place of an SVID in it. It throws when none is meant: another identity
 * than the one that was asked for must never be used in its place.
 * @param {Record<string, any>} options
 * @returns {(offer: Offer) => number}
 */
function compilePick(options) {
  const given = PICKS.filter((name) => name in options)
  if (given.length === 0) return (offer) => (offer.labels.length > 0 ? 0 : none('an SVID', offer))
  if (given.length > 1) throw invalidArgument(`options: ${given.join(' and ')} exclude each other`)
  const [name] = given
  const value = options[name]
  switch (name) {
    case 'hint':
      if (typeof value !== 'string' || value === '')
        throw invalidArgument(`options.hint: expected a string that is not empty, got ${shown(value)}`)
      return byLabel(`an SVID with the hint ${JSON.stringify(value)}`, ([, hint]) => hint === value)
    case 'spiffeId': {
      const { uri } = SpiffeId.from(value, 'options.spiffeId')
      return byLabel(`an SVID of ${uri}`, ([id]) => id === uri)
    }
    case 'path': {
      if (typeof value !== 'string' || !value.startsWith('/'))
        throw invalidArgument(`options.path: expected a path such as '/billing', got ${shown(value)}`)
      return byLabel(
        `an SVID with the path ${value}`,
        ([id]) => id.indexOf('/', 9) > 0 && id.slice(id.indexOf('/', 9)) === value
      )
    }
    case 'pick':
      if (typeof value !== 'function') throw invalidArgument(`options.pick: expected a function, got ${shown(value)}`)
      return (offer) => {
        const picked = value(offer.svids)
        const index = offer.svids.indexOf(picked)
        return index >= 0 ? index : none('what the pick function returned', offer)
      }
  }
}

/**
 * @param {string} what
 * @param {(label: readonly [string, string | null]) => boolean} meant
 */
function byLabel(what, meant) {
  return (/** @type {Offer} */ offer) => {
    const index = offer.labels.findIndex(meant)
    return index >= 0 ? index : none(what, offer)
  }
}

/**
 * @param {string} what
 * @param {Offer} offer
 * @returns {never}
 */
function none(what, offer) {
  const offered = offer.labels.map(([id, hint]) => (hint === null ? id : `${id} (hint ${JSON.stringify(hint)})`))
  const some = offered.length > 8 ? [...offered.slice(0, 8), `and ${offered.length - 8} more`] : offered
  throw new CountersignError(
    'ERR_SVID_NOT_FOUND',
    `the Workload API does not offer ${what}; it offers ${some.join(', ') || 'none'}`,
    { offered: Object.freeze(offered) }
  )
}

module.exports = { compilePick, PICKS }
