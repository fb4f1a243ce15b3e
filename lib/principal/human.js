'use strict'
/** Users behind an authenticated session. */

const lossless = require('../internal/lossless-json')
const { PrincipalDocument, Read, checkFields, compose } = require('./document')
const { SessionId, TenantId, UserId } = require('./id')

const FIELDS = ['userId', 'tenantId', 'sessionId', 'attributes']

/** A user behind an authenticated session. */
class HumanPrincipal extends PrincipalDocument {
  /** @param {unknown} fields */
  constructor(fields) {
    const { text, members } = fields instanceof Read ? fields : composed(fields)
    super(text)
    this.kind = /** @type {const} */ ('human')
    this.userId = members.user_id
    this.tenantId = members.tenant_id
    this.sessionId = members.session_id ?? undefined
    this.attributes = members.attributes
    Object.freeze(this)
  }

  toJSON() {
    const { kind, userId, tenantId, sessionId, attributes } = this
    return {
      kind,
      user_id: userId,
      tenant_id: tenantId,
      session_id: sessionId ?? null,
      attributes: lossless.forJSON(attributes, 'principal.toWire()')
    }
  }

  /** The user. @override */
  toString() {
    return this.userId
  }
}

/** @param {unknown} fields */
function composed(fields) {
  const { userId, tenantId, sessionId, attributes } = checkFields(fields, FIELDS, 'human')
  return compose(
    {
      kind: 'human',
      user_id: UserId.parse(userId),
      tenant_id: TenantId.parse(tenantId),
      session_id: sessionId === undefined ? null : SessionId.parse(sessionId),
      attributes
    },
    HumanPrincipal
  )
}

module.exports = { HumanPrincipal }
