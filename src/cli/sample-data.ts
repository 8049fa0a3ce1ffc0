/** What `sample-customers.ts` draws from. */

/** A name as written, and as it is matched. */
export type Name = readonly [written: string, matched: string]

export interface Country {
  readonly code: string
  /** Other ways to write the country. */
  readonly names: readonly string[]
  readonly callingCode: string
  /** Written before national numbers only. */
  readonly trunkPrefix: string
  /** National numbers in their usual groups; `#` any digit. */
  readonly phones: readonly string[]
  /** `#` any digit, `%` one from 1 to 9, `@` a letter. */
  readonly postalCodes: readonly string[]
}

export const COUNTRIES: readonly Country[] = [
  {
    code: 'US',
    names: ['USA', 'United States', 'U.S.A.', 'Vereinigte Staaten', 'Estados Unidos'],
    callingCode: '1',
    trunkPrefix: '',
    phones: ['(212) 5##-####', '(310) 4##-####', '616 95# ####', '415-6##-####', '305.7##.####'],
    postalCodes: ['%####', '0213#', '07%0#', '%####-####']
  },
  {
    code: 'CA',
    names: ['CAN', 'Canada', 'Kanada'],
    callingCode: '1',
    trunkPrefix: '',
    phones: ['(416) 5##-####', '604-6##-####', '514 3## ####'],
    postalCodes: ['K%A #B#', 'm#v #k#', 'H%X%Y%']
  },
  {
    code: 'GB',
    names: ['UK', 'GBR', 'United Kingdom', 'England', 'Scotland', 'Royaume-Uni', 'Großbritannien'],
    callingCode: '44',
    trunkPrefix: '0',
    phones: ['7400 ######', '7712 ######', '20 79## ####', '161 49# ####'],
    postalCodes: ['SW%A %AA', 'M% %BN', 'EH1% %QD', 'b%% %hq', 'W1F%NB']
  },
  {
    code: 'DE',
    names: ['DEU', 'Deutschland', 'Germany', 'Allemagne', 'Alemania', 'GERMANY'],
    callingCode: '49',
    trunkPrefix: '0',
    phones: ['151 ########', '160 #######', '176 ########', '30 ########', '89 ########'],
    postalCodes: ['%####', '01###', '04###']
  },
  {
    code: 'AT',
    names: ['AUT', 'Österreich', 'Austria', 'Autriche', 'OSTERREICH'],
    callingCode: '43',
    trunkPrefix: '0',
    phones: ['664 #######', '676 #######', '1 5######'],
    postalCodes: ['%###']
  },
  {
    code: 'CH',
    names: ['CHE', 'Schweiz', 'Suisse', 'Svizzera', 'Switzerland'],
    callingCode: '41',
    trunkPrefix: '0',
    phones: ['79 ### ## ##', '76 ### ## ##', '44 2## ## ##'],
    postalCodes: ['%###']
  },
  {
    code: 'FR',
    names: ['FRA', 'France', 'Frankreich', 'Francia'],
    callingCode: '33',
    trunkPrefix: '0',
    phones: ['6 ## ## ## ##', '7 6# ## ## ##', '1 4# ## ## ##'],
    postalCodes: ['75###', '01###', '%####']
  },
  {
    code: 'ES',
    names: ['ESP', 'España', 'Spain', 'Spanien', 'espana'],
    callingCode: '34',
    trunkPrefix: '',
    phones: ['6## ## ## ##', '91 ### ## ##'],
    postalCodes: ['28###', '08###']
  },
  {
    code: 'IT',
    names: ['ITA', 'Italia', 'Italy', 'Italien', 'Italie'],
    callingCode: '39',
    trunkPrefix: '',
    phones: ['347 #######', '333 #######', '06 4### ####', '02 8### ####'],
    postalCodes: ['20###', '00#%%']
  },
  {
    code: 'NL',
    names: ['NLD', 'Nederland', 'The Netherlands', 'Holland', 'Pays-Bas', 'Niederlande'],
    callingCode: '31',
    trunkPrefix: '0',
    phones: ['6 1### ####', '6 2### ####', '20 6## ####'],
    postalCodes: ['%### @@', '%###@@']
  },
  {
    code: 'BE',
    names: ['BEL', 'België', 'Belgique', 'Belgium', 'Belgien'],
    callingCode: '32',
    trunkPrefix: '0',
    phones: ['47# ## ## ##', '48# ## ## ##', '2 5## ## ##'],
    postalCodes: ['%###']
  },
  {
    code: 'SE',
    names: ['SWE', 'Sverige', 'Sweden', 'Schweden'],
    callingCode: '46',
    trunkPrefix: '0',
    phones: ['70 ### ## ##', '73 ### ## ##'],
    postalCodes: ['%## ##']
  },
  {
    code: 'PL',
    names: ['POL', 'Polska', 'Poland', 'Polen'],
    callingCode: '48',
    trunkPrefix: '',
    phones: ['60# ### ###', '51# ### ###', '22 6## ## ##'],
    postalCodes: ['%#-###']
  },
  {
    code: 'AU',
    names: ['AUS', 'Australia', 'Australien'],
    callingCode: '61',
    trunkPrefix: '0',
    phones: ['41# ### ###', '43# ### ###', '2 9### ####'],
    postalCodes: ['%###', '08##']
  },
  {
    code: 'BR',
    names: ['BRA', 'Brasil', 'Brazil', 'Brasilien'],
    callingCode: '55',
    trunkPrefix: '',
    phones: ['(11) 9####-####', '(21) 9####-####', '(11) 3###-####'],
    postalCodes: ['%####-###', '01###-###']
  },
  {
    code: 'JP',
    names: ['JPN', 'Japan', '日本', 'Japón'],
    callingCode: '81',
    trunkPrefix: '0',
    phones: ['90-####-####', '80-####-####', '3-5###-####'],
    postalCodes: ['%##-####']
  },
  {
    code: 'MX',
    names: ['MEX', 'México', 'Mexico', 'Mexiko'],
    callingCode: '52',
    trunkPrefix: '',
    phones: ['55 #### ####', '81 8### ####'],
    postalCodes: ['%####', '06###']
  },
  {
    code: 'IN',
    names: ['IND', 'India', 'Indien', 'भारत'],
    callingCode: '91',
    trunkPrefix: '0',
    phones: ['98### #####', '70### #####'],
    postalCodes: ['%#####', '%%# ###']
  }
]

export const FIRST_NAMES: readonly Name[] = [
  ['Mary', 'mary'],
  ['Mary Jane', 'maryjane'],
  ['Anne-Marie', 'annemarie'],
  ['José', 'josé'],
  ['Jürgen', 'jürgen'],
  ['Zoë', 'zoë'],
  ['François', 'françois'],
  ['Łukasz', 'łukasz'],
  ['Åsa', 'åsa'],
  ['明', '明'],
  ['さくら', 'さくら'],
  ['Владимир', 'владимир'],
  ['Ελένη', 'ελένη'],
  ['अमित', 'अमित'],
  ['D’Angelo', 'dangelo'],
  ['João', 'joão'],
  ['Priya', 'priya'],
  ['Bo', 'bo'],
  ['J.R.', 'jr'],
  ['Nan', 'nan']
]

export const LAST_NAMES: readonly Name[] = [
  ['Smith', 'smith'],
  ["O'Connor", 'oconnor'],
  ['O’Brien', 'obrien'],
  ['Müller', 'müller'],
  ['Groß', 'groß'],
  ['van der Berg', 'vanderberg'],
  ['García Márquez', 'garcíamárquez'],
  ['Smith-Jones', 'smithjones'],
  ['Ng', 'ng'],
  ['李', '李'],
  ['山田', '山田'],
  ['Nowak', 'nowak'],
  ['Łęcki', 'łęcki'],
  ['Ångström', 'ångström'],
  ['da Silva', 'dasilva'],
  ['St. John', 'stjohn'],
  ['D’Amico', 'damico'],
  ['Иванов', 'иванов'],
  ['Παπαδόπουλος', 'παπαδόπουλος'],
  ['शर्मा', 'शर्मा']
]

export const DOMAINS = [
  'gmail.com',
  'web.de',
  'yahoo.co.uk',
  'orange.fr',
  'mail.example.com',
  'veloheim.example',
  'müller-versand.de',
  'xn--mller-kva.de',
  'sub.domain.com.br'
]

/** Values of no use that real lists hold. */
export const UNUSABLE = {
  email: [
    'n/a',
    '-',
    'none@none.com',
    'noemail@noemail.com',
    'test@test.com',
    'no-email@web.de',
    'jane@',
    '@gmail.com',
    'jane doe@gmail.com',
    'jane@@gmail.com',
    'jane@gmail',
    'jane.gmail.com',
    'jane@gmail..com',
    '.jane@gmail.com',
    'mailto:jane@gmail.com',
    'Jane <jane@gmail.com>',
    'jane@gmail.com, john@gmail.com'
  ],
  phone: [
    'n/a',
    '-',
    'call me',
    '+0000000000',
    '0000000000',
    '12345',
    'unknown',
    '+1',
    '?',
    '#N/A'
  ],
  name: ['n/a', 'N/A', '-', '--', 'unknown', 'undefined', '???', '.', '(blank)', '12345'],
  country: ['Narnia', 'XX', 'ZZ', 'EU', 'N/A', 'unknown', '-', '??'],
  postalCode: ['n/a', '-', '00000', 'unknown', '.', 'none', '0']
} as const
