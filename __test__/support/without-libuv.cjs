'use strict'
// Preloaded (`node --require`), it makes the client believe that this host has no usable libuv: what Bun gets.
const { native } = require('../../lib/native/load')
const { attach } = native
native.attach = (settle) => attach(settle, false)
