'use strict'
exports.version = require('./load').native.version
