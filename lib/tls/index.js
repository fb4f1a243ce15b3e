'use strict'
// One assignment a name: that is how an ES module importing this one learns the names.
const { authorize } = require('../spiffe/authorizer')
const { serverOptions } = require('./server-options')
const { secureServer } = require('./secure-server')
const { clientOptions } = require('./client-options')
const { peerOf } = require('./peer')

exports.authorize = authorize
exports.serverOptions = serverOptions
exports.secureServer = secureServer
exports.clientOptions = clientOptions
exports.peerOf = peerOf

// These bring in node:https, node:http2 or more: loaded when they are used.
exports.createFrontServer = /** @type {typeof import('./front-server').createFrontServer} */ (...args) =>
  require('./front-server').createFrontServer(...args)
exports.createAgent = /** @type {typeof import('./agent').createAgent} */ (...args) =>
  require('./agent').createAgent(...args)
exports.undiciConnect = /** @type {typeof import('./undici-connect').undiciConnect} */ (...args) =>
  require('./undici-connect').undiciConnect(...args)
exports.createFetch = /** @type {typeof import('./fetch').createFetch} */ (...args) =>
  require('./fetch').createFetch(...args)
exports.http2Connect = /** @type {typeof import('./http2-connect').http2Connect} */ (...args) =>
  require('./http2-connect').http2Connect(...args)
exports.bearer = /** @type {typeof import('./bearer').bearer} */ (...args) => require('./bearer').bearer(...args)
exports.requireBearer = /** @type {typeof import('./require-bearer').requireBearer} */ (...args) =>
  require('./require-bearer').requireBearer(...args)

void (/** @satisfies {import('../internal/face').Face<typeof import('../../types/tls')>} */ (module.exports))
