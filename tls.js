'use strict'
// One assignment a name: that is how an ES module importing this one learns the names.
const { authorize } = require('./lib/spiffe/authorize')
const { serverOptions } = require('./lib/tls/server-options')
const { secureServer } = require('./lib/tls/secure-server')
const { clientOptions } = require('./lib/tls/client-options')
const { peerOf } = require('./lib/tls/peer')

exports.authorize = authorize
exports.serverOptions = serverOptions
exports.secureServer = secureServer
exports.clientOptions = clientOptions
exports.peerOf = peerOf

// These bring in node:https, node:http2 or more: loaded when they are used.
exports.createFrontServer = /** @type {typeof import('./lib/tls/front-server').createFrontServer} */ (...args) =>
  require('./lib/tls/front-server').createFrontServer(...args)
exports.createAgent = /** @type {typeof import('./lib/tls/agent').createAgent} */ (...args) =>
  require('./lib/tls/agent').createAgent(...args)
exports.undiciConnect = /** @type {typeof import('./lib/tls/undici-connect').undiciConnect} */ (...args) =>
  require('./lib/tls/undici-connect').undiciConnect(...args)
exports.createFetch = /** @type {typeof import('./lib/tls/fetch').createFetch} */ (...args) =>
  require('./lib/tls/fetch').createFetch(...args)
exports.http2Connect = /** @type {typeof import('./lib/tls/http2-connect').http2Connect} */ (...args) =>
  require('./lib/tls/http2-connect').http2Connect(...args)
exports.bearer = /** @type {typeof import('./lib/tls/bearer').bearer} */ (...args) =>
  require('./lib/tls/bearer').bearer(...args)
exports.requireBearer = /** @type {typeof import('./lib/tls/require-bearer').requireBearer} */ (...args) =>
  require('./lib/tls/require-bearer').requireBearer(...args)
