'use strict'
/** JSON values that nobody can change any more. */

/**
 * Frozen all the way down. Not by recursion: a value may be nested thousands of times. Without prototypes a member called
 * `constructor` or `__proto__` is only a member.
 * @template {object} T
 * @param {T} root
 * @returns {T}
 */
function frozen(root) {
  /** @type {object[]} */
  const left = [root]
  for (let value = left.pop(); value !== undefined; value = left.pop()) {
    for (const item of Object.values(value)) if (typeof item === 'object' && item !== null) left.push(item)
    if (!Array.isArray(value)) Object.setPrototypeOf(value, null)
    Object.freeze(value)
  }
  return root
}

module.exports = { frozen }
