/** The messages between the page and the worker. */

import type { ErrorCode, Progress } from "../protocol.ts";

export interface Request {
  id: number;
  method: string;
  values: unknown[];
}

export type Answer =
  | { id: number; result: unknown }
  | { id: number; error: { code: ErrorCode; message: string } }
  | { progress: Progress };
