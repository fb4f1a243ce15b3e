'use strict'
/** What the tokens of Kubernetes service accounts say. */

const { invalidArgument, shown } = require('../native/errors')
const { ownOptions } = require('../internal/options')
const { notAuthenticated } = require('./failure')
const { Issuer } = require('./issuer')

const CLAIM = 'kubernetes.io'

/** @param {import('../../types/principal').KubernetesOptions} options */
function kubernetes(options) {
  const { issuer, namespaces } = ownOptions(options ?? null, ['issuer', 'namespaces'], 'options')
  if (typeof issuer !== 'string' || issuer === '')
    throw invalidArgument(`options.issuer: expected the cluster's issuer, got ${shown(issuer)}`)
  if (namespaces !== undefined && (!Array.isArray(namespaces) || !namespaces.every((one) => typeof one === 'string'))) {
    throw invalidArgument(`options.namespaces: expected a list of strings, got ${shown(namespaces)}`)
  }
  return Object.freeze({
    issuer,
    principalIssuer: Issuer.custom('kubernetes'),
    map: (/** @type {Record<string, unknown>} */ claims) => {
      const bound = member(claims, CLAIM)
      const { namespace } = bound
      const { name, uid } = member(bound, 'serviceaccount')
      if (typeof namespace !== 'string' || typeof name !== 'string')
        throw notAuthenticated('refused', 'the token names no service account')
      if (claims.sub !== `system:serviceaccount:${namespace}:${name}`)
        throw notAuthenticated('refused', 'the subject of the token is not its service account')
      if (namespaces !== undefined && !namespaces.includes(namespace))
        throw notAuthenticated('refused', 'the service account is in a namespace that is not welcome')
      const pod = bound.pod === undefined ? {} : member(bound, 'pod')
      const all = { sa_uid: uid, pod_name: pod.name, pod_uid: pod.uid }
      const attributes = Object.fromEntries(Object.entries(all).filter(([, value]) => typeof value === 'string'))
      return { serviceName: name, tenantSlug: namespace, attributes }
    }
  })
}

/**
 * @param {Record<string, any>} of
 * @param {string} name
 * @returns {Record<string, any>}
 */
function member(of, name) {
  const value = of[name]
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw notAuthenticated('refused', `the token has no ${name}`)
  return value
}

module.exports = { kubernetes }
