'use strict'
/** The streams of the Workload API as they come: reconnected when they break, ended by what the API refuses. */

const { invalidArgument } = require('../../native/errors')
const { checkOptions, checkSignal } = require('../../internal/options')
const { Feed } = require('../source/feed')
const { updates } = require('../source/updates')

/**
 * @template T
 * @param {string} endpoint
 * @param {import('../source/feed').Subject} subject
 * @param {unknown} options
 * @param {(lastMessage: import('../../../types/native').X509Context, revision: number) => T} make
 * @returns {AsyncIterableIterator<T>}
 */
function watch(endpoint, subject, options, make) {
  const { signal, ref = false } = checkOptions(options, ['signal', 'ref'], 'options')
  checkSignal(signal, 'options.signal')
  if (typeof ref !== 'boolean') throw invalidArgument('options.ref: expected a boolean')
  signal?.throwIfAborted()
  const feed = Feed.take(endpoint, subject)
  return updates(
    {
      read(seen) {
        const { revision, state, givenUp, lastMessage } = feed.now
        if (state === 'noIdentity' || state === 'withdrawn' || givenUp) throw feed.lastError
        return lastMessage === undefined || revision === seen
          ? undefined
          : { revision, value: make(lastMessage, revision) }
      },
      subscribe: (listener) => feed.subscribe(listener),
      end: () => feed.release()
    },
    { signal, ref }
  )
}

module.exports = { watch }
