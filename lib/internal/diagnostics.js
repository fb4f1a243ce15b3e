'use strict'
/**
 * Events for subscribers: diagnostics channels named `countersign:...`, and lines on stderr with
 * `NODE_DEBUG=countersign`. Without a listener it costs a look at a flag.
 */

const diagnostics = require('node:diagnostics_channel')
const { debuglog, inspect } = require('node:util')

const debug = debuglog('countersign')

/** @type {Map<string, import('node:diagnostics_channel').Channel>} */
const channels = new Map()

/**
 * @param {string} name without the prefix
 * @param {() => Record<string, unknown>} message made only when there is a subscriber
 */
function publish(name, message) {
  let channel = channels.get(name)
  if (!channel) channels.set(name, (channel = diagnostics.channel(`countersign:${name}`)))
  if (!channel.hasSubscribers && !debug.enabled) return
  const said = message()
  if (debug.enabled) debug('%s %s', name, inspect(said, { breakLength: Infinity, compact: true, depth: 3 }))
  channel.publish(said)
}

module.exports = { publish }
