'use strict'
/** What the tokens of GitHub Actions say of a run. */

const { invalidArgument, shown } = require('../native/errors')
const { ownOptions } = require('../internal/options')
const { notAuthenticated } = require('./failure')
const { Issuer } = require('./issuer')

const GITHUB = 'https://token.actions.githubusercontent.com'
const ATTRIBUTES = [
  'repository',
  'repository_id',
  'repository_owner',
  'repository_owner_id',
  'actor',
  'workflow',
  'ref',
  'sha',
  'event_name',
  'environment',
  'job_workflow_ref',
  'run_id'
]
const LISTS = ['owners', 'ownerIds', 'repositories']

/** @param {import('../../types/principal').GithubActionsOptions} options */
function githubActions(options) {
  const { issuer = GITHUB, ...lists } = ownOptions(options ?? null, ['issuer', ...LISTS], 'options')
  // Every repository can get a token for any audience: without a list, this would accept all of GitHub.
  const welcome = Object.entries(lists)
    .filter(([, list]) => list !== undefined)
    .map(([name, list]) => /** @type {const} */ ([name, setOf(list, name)]))
  if (welcome.length === 0) throw invalidArgument(`options: say whose runs are welcome: ${LISTS.join(', ')}`)
  return Object.freeze({
    issuer,
    principalIssuer: Issuer.custom('github_actions'),
    map: (/** @type {Record<string, unknown>} */ claims) => {
      const owner = text(claims, 'repository_owner')
      const repository = text(claims, 'repository')
      const values = { owners: owner, ownerIds: claims.repository_owner_id, repositories: repository }
      for (const [name, set] of welcome) {
        if (!set.has(/** @type {string} */ (values[/** @type {keyof typeof values} */ (name)])))
          throw notAuthenticated('refused', `the run is of a repository that is not among the ${name}`)
      }
      if (!repository.startsWith(`${owner}/`))
        throw notAuthenticated('refused', "the repository of the token is not its owner's")
      const attributes = Object.fromEntries(
        ATTRIBUTES.filter((name) => typeof claims[name] === 'string').map((name) => [name, claims[name]])
      )
      return { serviceName: repository.slice(owner.length + 1), tenantSlug: owner, attributes }
    }
  })
}

/**
 * @param {unknown} list
 * @param {string} name
 * @returns {Set<string>}
 */
function setOf(list, name) {
  if (!Array.isArray(list) || list.length === 0 || !list.every((one) => typeof one === 'string' && one !== '')) {
    throw invalidArgument(`options.${name}: expected a list of strings, got ${shown(list)}`)
  }
  return new Set(list)
}

/**
 * @param {Record<string, unknown>} claims
 * @param {string} name
 * @returns {string}
 */
function text(claims, name) {
  const value = claims[name]
  if (typeof value !== 'string' || value === '') throw notAuthenticated('refused', `the token has no ${name}`)
  return value
}

module.exports = { githubActions }
