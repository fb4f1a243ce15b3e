'use strict'
/** Principals of users behind a session. */

const { invalidArgument, shown } = require('../native/errors')
const { ownOptions } = require('../internal/options')
const { Once } = require('./credential')
const { notAuthenticated } = require('./failure')
const { HumanPrincipal } = require('./human')
const { PrincipalResolver, RESOLVE } = require('./resolver')

const SESSION = ['userId', 'tenantId', 'sessionId', 'attributes']

/** @extends {PrincipalResolver<import('./resolver').HumanPrincipal>} */
class SessionResolver extends PrincipalResolver {
  #session

  /** @param {{ session: (req?: any) => unknown }} options */
  constructor(options) {
    super()
    const { session } = ownOptions(options ?? null, ['session'], 'options')
    if (typeof session !== 'function')
      throw invalidArgument(`options.session: expected a function, got ${shown(session)}`)
    this.#session = session
    Object.freeze(this)
  }

  async [RESOLVE]() {
    return humanOf(await this.#session())
  }

  /** @param {any} req */
  forRequest(req) {
    return new Once(async () => humanOf(await this.#session(req)))
  }
}

/** @param {unknown} session */
function humanOf(session) {
  if (session === undefined || session === null)
    throw notAuthenticated('no_credential', 'there is no authenticated session')
  const { userId, tenantId, sessionId, attributes } = ownOptions(session, SESSION, 'session')
  if (sessionId === undefined) throw invalidArgument('session.sessionId: is missing')
  return new HumanPrincipal({ userId, tenantId, sessionId, attributes })
}

module.exports = { SessionResolver }
