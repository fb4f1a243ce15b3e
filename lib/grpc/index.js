'use strict'
// One assignment a name: that is how an ES module importing this one learns the names.
const { authorize } = require('../spiffe/authorizer')
const { bindServer } = require('./bind-server')
const { callCredentials } = require('./call-credentials')
const { channelCredentials } = require('./channel-credentials')
const { peerOf } = require('../tls/peer')

exports.authorize = authorize
exports.bindServer = bindServer
exports.callCredentials = callCredentials
exports.channelCredentials = channelCredentials
exports.peerOf = peerOf

void (/** @satisfies {import('../internal/face').Face<typeof import('../../types/grpc')>} */ (module.exports))
