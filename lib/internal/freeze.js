'use strict'
/** JSON values that cannot be changed. */

/**
 * Visits every object in a value. Not by recursion: a value may be nested thousands of times.
 * @param {unknown} root
 * @param {(value: object) => void} visit
 */
function eachObject(root, visit) {
  const left = [root]
  while (left.length > 0) {
    const value = left.pop()
    if (typeof value !== 'object' || value === null) continue
    for (const item of Object.values(value)) left.push(item)
    visit(value)
  }
}

/**
 * Frozen all the way down.
 * @template T
 * @param {T} root
 * @returns {T}
 */
function freezeDeep(root) {
  eachObject(root, Object.freeze)
  return root
}

/**
 * The same without prototypes, so that a member called `constructor` or `__proto__` is only a member.
 * @template {object} T
 * @param {T} root
 * @returns {T}
 */
function freezeJson(root) {
  eachObject(root, (value) => {
    if (!Array.isArray(value)) Object.setPrototypeOf(value, null)
    Object.freeze(value)
  })
  return root
}

module.exports = { freezeDeep, freezeJson }
