'use strict'
/** The audience of the tokens that the clients ask for. */
module.exports = { AUDIENCE: 'spiffe://example.org/shop' }
