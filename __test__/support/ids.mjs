// Numbers of users and groups that have no name on this machine. Which ones these are differs from machine to machine.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'

/** @param {'passwd' | 'group'} database @param {number} id */
function hasName(database, id) {
  const { status, error } = spawnSync('getent', [database, String(id)])
  if (error) throw error
  return status === 0
}

/**
 * @param {'passwd' | 'group' | 'both'} database where none of the numbers has a name
 * @param {number} count
 * @returns {number[]}
 */
export function idsWithoutName(database, count) {
  const databases = database === 'both' ? /** @type {const} */ (['passwd', 'group']) : [database]
  const found = []
  for (let id = 1001; found.length < count; id++) {
    assert.ok(id < 60_000, `there are not ${count} numbers without a name in ${database}`)
    if (!databases.some((each) => hasName(each, id))) found.push(id)
  }
  return found
}
