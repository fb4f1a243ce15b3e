// What the tests of principals share.
import { CountersignError } from 'countersign/principal'

export const TENANT = '9a36b1fe-3cf2-4ba5-8846-e1476509c712'
export const OTHER_TENANT = '3f2c1a64-9c41-4d5e-8b57-0f6a3b1c2d3e'

/**
 * What an error says of itself: code, reason, and the rule of its cause.
 * @param {any} error
 */
export function told(error) {
  if (!CountersignError.is(error)) throw error
  const { code, reason, component, cause } = /** @type {any} */ (error)
  return [code.replace(/^ERR_(INVALID_)?/, ''), component, reason, cause?.rule ?? cause?.code].filter(Boolean).join(' ')
}

/**
 * How a promise ends, in a word.
 * @param {Promise<unknown>} promise
 */
export async function outcome(promise) {
  return await promise.then(() => 'resolved', told)
}

/**
 * How a call ends, in a word.
 * @param {() => unknown} call
 */
export function failing(call) {
  try {
    call()
  } catch (error) {
    return told(error)
  }
  return 'accepted'
}
