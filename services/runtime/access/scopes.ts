/** read: look at runs; submit: start and fork; control: pause, resume, stop, amend; admin: all of them. */
export const SCOPES = ['read', 'submit', 'control', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];
