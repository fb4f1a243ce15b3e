// An error of the package, as a source of its users might throw it. The typings offer no constructor.
import { CountersignError } from 'countersign'

/** @type {new (code: string, message: string) => Error} */
const Constructor = /** @type {any} */ (CountersignError)

/** @param {import('countersign').CountersignErrorCode} code @param {string} message */
export const countersignError = (code, message) => new Constructor(code, message)
