'use strict'
// One assignment a name: that is how an ES module importing this one learns the names.
const { authorize } = require('./lib/spiffe/authorize')
const { bindServer } = require('./lib/grpc/bind-server')
const { callCredentials } = require('./lib/grpc/call-credentials')
const { channelCredentials } = require('./lib/grpc/channel-credentials')
const { peerOf } = require('./lib/tls/peer')

exports.authorize = authorize
exports.bindServer = bindServer
exports.callCredentials = callCredentials
exports.channelCredentials = channelCredentials
exports.peerOf = peerOf
