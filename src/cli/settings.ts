/** Environment variables of the command line; those of the service are in `Settings` of src/config.ts. */
export const COMMAND_LINE_SETTINGS = ['AUDIENCE_URL', 'AUDIENCE_API_KEY'] as const
