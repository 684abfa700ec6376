/** The worker that runs the engine. */
export {};
