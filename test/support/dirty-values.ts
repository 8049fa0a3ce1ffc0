/** What `dirty-users.ts` draws from. Changing anything here changes all golden bodies. */

/** Example mobile numbers of all regions, from libphonenumber's metadata: `region calling code . national`. */
export const PHONES: readonly string[] = `
    AC247.40123 AD376.312345 AE971.501234567 AF93.701234567 AG1.2684641234 AI1.2642351234
    AL355.672123456 AM374.77123456 AO244.923123456 AR54.91123456789 AS1.6847331234 AT43.664123456
    AU61.412345678 AW297.5601234 AX358.412345678 AZ994.401234567 BA387.61123456 BB1.2462501234
    BD880.1812345678 BE32.450001234 BF226.70123456 BG359.43012345 BH973.36001234 BI257.79561234
    BJ229.0195123456 BL590.690001234 BM1.4413701234 BN673.7123456 BO591.71234567 BQ599.3181234
    BR55.11961234567 BS1.2423591234 BT975.17123456 BW267.71123456 BY375.294911911 BZ501.6221234
    CA1.5062345678 CC61.412345678 CD243.991234567 CF236.70012345 CG242.061234567 CH41.781234567
    CI225.0123456789 CK682.71234 CL56.221234567 CM237.671234567 CN86.13123456789 CO57.3211234567
    CR506.83123456 CU53.51234567 CV238.9911234 CW599.95181234 CX61.412345678 CY357.96123456
    CZ420.601123456 DE49.15123456789 DJ253.77831001 DK45.34412345 DM1.7672251234 DO1.8092345678
    DZ213.551234567 EC593.991234567 EE372.51234567 EG20.1001234567 EH212.650123456 ER291.7123456
    ES34.612345678 ET251.911234567 FI358.412345678 FJ679.7012345 FK500.51234 FM691.3501234
    FO298.211234 FR33.612345678 GA241.06031234 GB44.7400123456 GD1.4734031234 GE995.555123456
    GF594.694201234 GG44.7781123456 GH233.231234567 GI350.57123456 GL299.221234 GM220.3012345
    GN224.601123456 GP590.690001234 GQ240.222123456 GR30.6912345678 GT502.51234567 GU1.6713001234
    GW245.955012345 GY592.6091234 HK852.51234567 HN504.91234567 HR385.921234567 HT509.34101234
    HU36.201234567 ID62.812345678 IE353.850123456 IL972.502345678 IM44.7924123456 IN91.8123456789
    IO246.3801234 IQ964.7912345678 IR98.9123456789 IS354.6111234 IT39.3123456789 JE44.7797712345
    JM1.8762101234 JO962.790123456 JP81.9012345678 KE254.712123456 KG996.700123456 KH855.91234567
    KI686.72001234 KM269.3212345 KN1.8697652917 KP850.1921234567 KR82.1020000000 KW965.50012345
    KY1.3453231234 KZ7.7710009998 LA856.2023123456 LB961.71123456 LC1.7582845678 LI423.660234567
    LK94.712345678 LR231.770123456 LS266.50123456 LT370.61234567 LU352.628123456 LV371.21234567
    LY218.912345678 MA212.650123456 MC377.612345678 MD373.62112345 ME382.60123456 MF590.690001234
    MG261.321234567 MH692.2351234 MK389.72345678 ML223.65012345 MM95.92123456 MN976.88123456
    MO853.66123456 MP1.6702345678 MQ596.696201234 MR222.22123456 MS1.6644923456 MT356.96961234
    MU230.52512345 MV960.7712345 MW265.991234567 MX52.2221234567 MY60.123456789 MZ258.821234567
    NA264.811234567 NC687.751234 NE227.93123456 NF672.381234 NG234.8021234567 NI505.81234567
    NL31.612345678 NO47.40612345 NP977.9841234567 NR674.5551234 NU683.8884012 NZ64.211234567
    OM968.92123456 PA507.61234567 PE51.912345678 PF689.87123456 PG675.70123456 PH63.9051234567
    PK92.3012345678 PL48.512345678 PM508.551234 PR1.7872345678 PS970.599123456 PT351.912345678
    PW680.6201234 PY595.961456789 QA974.33123456 RE262.692123456 RO40.712034567 RS381.601234567
    RU7.9123456789 RW250.720123456 SA966.512345678 SB677.7421234 SC248.2510123 SD249.911231234
    SE46.701234567 SG65.81234567 SH290.51234 SI386.31234567 SJ47.41234567 SK421.912123456
    SL232.25123456 SM378.66661212 SN221.701234567 SO252.71123456 SR597.7412345 SS211.977123456
    ST239.9812345 SV503.70123456 SX1.7215205678 SY963.944567890 SZ268.76123456 TA290.8999
    TC1.6492311234 TD235.63012345 TG228.90112345 TH66.812345678 TJ992.917123456 TK690.7290
    TL670.77212345 TM993.66123456 TN216.20123456 TO676.7715123 TR90.5012345678 TT1.8682911234
    TV688.901234 TW886.912345678 TZ255.621234567 UA380.501234567 UG256.712345678 US1.2015550123
    UY598.94231234 UZ998.912345678 VA39.3123456789 VC1.7844301234 VE58.4121234567 VG1.2843001234
    VI1.3406421234 VN84.912345678 VU678.5912345 WF681.821234 WS685.7212345 XK383.43201234
    YE967.712345678 YT262.639012345 ZA27.711234567 ZM260.955123456 ZW263.712345678
  `
  .trim()
  .split(/\s+/)

/** Written before a national number. */
// oxfmt-ignore
export const TRUNK_PREFIXES = [
  '', '', '', '0', '0', '0', '8', '1', '01', '044', '06', '15'
] as const

/** Numbers that are special somewhere. */
// oxfmt-ignore
export const ODD_PHONES = [
  '+800 1234 5678', '+870773111632', '+883510001234567', '+979123456789', '+1 800 555 0199',
  '+44 7700 900123', '+44 (0)20 7946 0958', '0044 20 7946 0958', '011 44 20 7946 0958',
  '+390612345678', '06 1234 5678', '+39 333 1234567', '333/0543076', '030/0151 23456789',
  '0151/23456789', '0151 23456789 / 0152 23456789', '0151 23456789, 0152 23456789',
  '0151 23456789; +1 212 555 0100', '212-555-0100 or 310-555-0100', '+52 1 55 1234 5678',
  '044 55 1234 5678', '045 55 1234 5678', '01 55 1234 5678', '+54 9 11 2345-6789',
  '011 15-2345-6789', '0 11 15 2345 6789', '8 (912) 345-67-89', '+7 912 345 67 89',
  '+7 701 234 5678', '1-876-210-1234', '+41 44 123 45 67', '0041441234567', '(0)151 23456789',
  '+49 (0) 151 23456789', '+49 0151 23456789', '49 151 23456789', '4915123456789',
  '4915112345678.0', '4.915112345678E+12', '=+4915112345678', '="+4915112345678"', "'015112345678",
  'tel:+4915112345678', 'tel:+49-151-1234-5678;ext=5', 'Tel.: 0151 12345678',
  'Mobile phone no. 0151 12345678', 'WhatsApp 0151 12345678', 'Handy: 0151 12345678 (privat)',
  '0151 12345678 (mobil)', '0151 12345678 (2)', '0151 12345678 ext. 12', '0151 12345678 x12',
  '0151 12345678 #12', '0151 12345678, ext. 12', '0151 12345678 Durchwahl 12',
  'p: 2125550100 m: 3105550100', '1-800-FLOWERS', '555-0100', '110', '911', '12345678',
  '1234567890', '9999999999', '000000000', '+1', '+', '++4915112345678', '+ 49 151 12345678',
  '＋４９１５１１２３４５６７８', '٠١٥١١٢٣٤٥٦٧٨', '०१५११२३४५६७८', '0151–1234–5678', '0151·1234·5678',
  '0151\u20111234\u20115678', '0151\u00a01234\u00a05678', '\u202a+4915112345678\u202c',
  '+49\u200b151\u200b12345678', '0151 12345678\n0152 12345678', '+49151123456789012345',
  '+1 (212) 555-0100 +1 (310) 555-0100', 'unlisted', 'call after 6pm 0151 12345678'
] as const

// oxfmt-ignore
export const FIRST_NAMES = [
  'Mary', 'James', 'Anna', 'Mary Jane', 'Anne-Marie', 'José', 'Jürgen', 'Zoë', 'François', 'Łukasz',
  'Åsa', 'Ægir', 'Øystein', 'Þór', 'Đorđe', 'Iğdır', 'İbrahim', 'Işık', 'Nguyễn', 'Ⅷ', 'ﬁona', '明',
  'さくら', 'サクラ', 'ｻｸﾗ', '김민준', 'Владимир', 'Ελένη', 'ΟΔΥΣΣΕΥΣ', 'अमित', 'محمد', 'דוד', 'ประเสริฐ',
  'ნინო', 'Արամ', 'D’Angelo', "D'Angelo", 'Dʼangelo', 'Kaʻiulani', 'J.R.', 'Nan', 'Nil', 'Tba',
  'Empty', 'Bo', 'X', 'Dr. Mary', 'Mary (Mimi)', 'Mary "Mimi"', 'Mary & John', 'Mary/John', 'Groß',
  'GROẞ', 'ſimon', 'K\u212aelvin', '\u212bngström', 'Mary3', '3', '👩‍👩‍👧', 'Mary 💐', '\u0130stanbul'
] as const

// oxfmt-ignore
export const LAST_NAMES = [
  'Smith', "O'Connor", 'O’Brien', 'O`Hara', 'Müller', 'Groß', 'GROSS', 'van der Berg',
  'von  Goethe', 'García Márquez', 'Smith-Jones', 'Smith–Jones', 'Ng', '李', '山田', 'Nowak', 'Łęcki',
  'Ångström', 'da Silva', 'St. John', 'D’Amico', 'Иванов', 'Παπαδόπουλος', 'शर्मा', 'Smith, Jr.',
  'Smith III', 'Null', 'None', 'Other', 'Blank', 'Void', 'Test', 'García', 'Garci\u0301a',
  'Ṽ\u0323', 'A\u030a', 'Ma\u00adry', 'ʻOkina', 'Đặng', 'Nguye\u0302\u0303n', 'Ǆ', 'ǅ', 'ǆ', 'ŉ',
  'ΐ', 'ﬀ', 'İ', 'ı', '𝕊mith', '𐐀𐐨', '\u1e9e', '\u03a3', 'ΣΑΣ', '¹²³', '½', '№5', '@home', '#1',
  '=Smith', '+Smith', '-Smith', 'Smith\\Jones'
] as const

// oxfmt-ignore
export const DOMAINS = [
  'gmail.com', 'gmail.com', 'web.de', 'yahoo.co.uk', 'orange.fr', 'GoogleMail.com',
  'mail.example.com', 'müller-versand.de', 'xn--mller-kva.de', 'sub.domain.com.br', 'exa_mple.com',
  '-example.com', 'example-.com', 'example', 'example.c', 'example.123', 'example..com',
  '.example.com', 'example.com.', '[192.0.2.1]', '192.0.2.1', 'example.xn--p1ai', 'пример.рф',
  '例え.jp', 'example.xn--', 'none.com', 'test.com', 'no-email.com', 'noemail.com', 'x.com', 'a.co',
  'example.invalid', 'foo.invalid', 'ﬁrma.de', 'İstanbul.com', '\u212aelvin.com', 'STRASSE.de',
  'straße.de', 'exam ple.com', 'example.com,gmail.com', 'faß.de', 'ΣΑΣ.gr', 'example.com/path',
  'example.com?x=1', 'e\u0301cole.fr', 'हिन्दी.भारत'
] as const

// oxfmt-ignore
export const LOCALS = [
  'jane.doe', 'j_smith', 'mary', 'JÜRGEN', 'info', 'o-brien', "o'neil", 'x', 'none', 'no', 'test',
  'noemail', 'no-email', 'no.e.mail', 'not_provided', 'unknown.email', 'asdf', 'null', 'jane+news',
  'jane++news', '+news', 'jane+', 'j.a.n.e', '.jane', 'jane.', 'ja..ne', '...', '"jane doe"',
  '"jane"', 'jane doe', 'ja\\ne', 'jane(comment)', 'a!#$%&*/=?^_`{|}~b', 'jane@home', 'ｊａｎｅ',
  'мария', '用户', 'ma\u0301ria', 'İbo', 'ΣΑΣ', '\u212aim', 'mailto:jane', '<jane', 'Jane <jane',
  '=jane', "'jane", '&lt;jane', '1', '0151', 'a.b+c.d+e'
] as const

// oxfmt-ignore
export const COUNTRIES = [
  'DE', 'de', 'De', 'DEU', 'Germany', 'GERMANY', 'Deutschland', 'Allemagne', 'Alemania',
  'Germany (DE)', 'Deutschland (Germany)', 'Germany (FR)', 'Germany, Federal Republic of',
  'Federal Republic of Germany', 'BRD', 'D', 'Ger', 'Germny', 'D E', 'D.E.', 'de-DE', 'de_DE',
  'DE;AT', 'DE, Berlin', 'US', 'USA', 'U.S.A.', 'U.S.', 'United States', 'United States of America',
  'the united states', 'Estados Unidos', 'EE.UU.', 'America', 'us ', 'UK', 'GB', 'GBR',
  'United Kingdom', 'England', 'Scotland', 'Great  Britain', 'Großbritannien', 'GROSSBRITANNIEN',
  'Royaume-Uni', 'Northern Ireland', 'IE', 'Ireland', 'Éire', 'Republic of Ireland',
  'Rep. of Ireland', 'CA', 'Canada', 'FR', 'France', 'france', 'Frankreich', 'IT', 'Italia', 'ES',
  'España', 'espana', 'Espan\u0303a', 'NL', 'The Netherlands', 'Netherlands, The', 'Holland', 'BE',
  'Belgique', 'CH', 'Schweiz', 'Suisse', 'AT', 'Österreich', 'OSTERREICH', 'Oesterreich', 'PL',
  'Polska', 'SE', 'Sverige', 'AU', 'Australia', 'NZ', 'Aotearoa', 'BR', 'Brasil', 'JP', '日本',
  'ジャパン', 'KR', 'Korea', 'South Korea', 'Korea, Republic of', '대한민국', 'CN', '中国', 'PRC', 'TW', '台灣',
  'HK', 'Hong Kong SAR', 'MX', 'México', 'MEXICO', 'IN', 'India', 'भारत', 'RU', 'Россия', 'GR',
  'EL', 'Ελλάδα', 'ΕΛΛΑΔΑ', 'TR', 'Türkiye', 'TÜRKİYE', 'Turkey', 'CI', "Côte d'Ivoire",
  'Cote d’Ivoire', 'Ivory Coast', 'CD', 'Congo', 'DR Congo', 'LC', 'St. Lucia', 'Saint Lucia', 'XK',
  'Kosovo', 'Narnia', 'XX', 'ZZ', 'EU', 'Europe', '🇩🇪', '🇺🇸', '??', 'ＤＥ', 'Ｇｅｒｍａｎｙ',
  'Bosnia & Herzegovina', 'Bosnia and Herzegovina', 'Trinidad & Tobago', 'Guinea', 'Guinea-Bissau',
  'GG', 'JE', 'IM', 'PR', 'Puerto Rico', 'Réunion', 'RE', 'SJ', 'AX', 'VA', 'Vatican', 'Georgia',
  'Jordan', 'Ελλάς', 'مصر', 'ישראל', '276', '49', '+49'
] as const

/** With the region whose shape it is; `#` any digit, `%` one from 1 to 9, `@` a letter. */
// oxfmt-ignore
export const POSTAL_CODES: readonly (readonly [region: string, pattern: string])[] = [
  ['US', '%####'], ['US', '0####'], ['US', '%###'], ['US', '%##'], ['US', '%####-####'],
  ['US', '%#### ####'], ['US', '%########'], ['US', '0########'], ['US', '%#######'],
  ['US', '%######'], ['US', '%###-####'], ['US', 'CA %####'], ['US', '%####-'],
  ['US', '%####-0000'], ['US', '%#### USA'], ['US', '%####, United States'], ['US', '%####.0'],
  ['PR', '00%##'], ['PR', '%##'], ['GU', '969##'], ['CA', 'K%A #B#'], ['CA', 'k%a#b#'],
  ['CA', 'H%X-%Y%'], ['CA', 'M%V'], ['GB', 'SW%A %AA'], ['GB', 'SW%A%AA'], ['GB', 'sw%a %aa'],
  ['GB', 'M% %BN'], ['GB', 'EH1% %QD'], ['GB', 'B%% %HQ'], ['GB', 'W1F%NB'], ['GB', 'GIR 0AA'],
  ['GB', 'SW1A'], ['GB', 'EC1A 1'], ['GB', 'SW1A-1AA'], ['GB', 'SWIA 1AA'], ['GB', 'SW1A 1AA UK'],
  ['GG', 'GY1 %WR'], ['JE', 'JE2 %AB'], ['IM', 'IM1 %AA'], ['DE', '%####'], ['DE', '0####'],
  ['DE', '%###'], ['DE', 'D-%####'], ['DE', 'DE-0####'], ['DE', 'D %####'], ['DE', '%#### Berlin'],
  ['DE', '%#### Deutschland'], ['DE', '%####.0'], ['DE', '%####,00'], ['AT', '%###'],
  ['AT', 'A-%###'], ['CH', '%###'], ['CH', 'CH-%###'], ['FR', '%####'], ['FR', '0####'],
  ['FR', '%###'], ['FR', '2A###'], ['FR', '75008 CEDEX 08'], ['ES', '08###'], ['ES', '%###'],
  ['IT', '00#%%'], ['IT', '%#'], ['IT', 'I-%####'], ['NL', '%### @@'], ['NL', '%###@@'],
  ['NL', '%### NL'], ['NL', '%### nl'], ['NL', '%###'], ['NL', '%### NL Nederland'], ['BE', '%###'],
  ['BE', 'B-%###'], ['SE', '%## ##'], ['SE', 'SE-%## ##'], ['NO', '0%##'], ['NO', '%##'],
  ['DK', '%###'], ['FI', '00%##'], ['FI', '%##'], ['EE', '0####'], ['LV', 'LV-%###'],
  ['LT', 'LT-%####'], ['PL', '%#-###'], ['PL', '0#-###'], ['PL', '%####'], ['PL', '%###'],
  ['CZ', '%## ##'], ['SK', '0## ##'], ['SK', '%###'], ['RO', '0#####'], ['RO', '%####'],
  ['PT', '%###-###'], ['PT', '%######'], ['GR', '%## ##'], ['IE', 'D0% AX#%'], ['IE', 'A65F4E%'],
  ['AU', '%###'], ['AU', '08##'], ['AU', '8##'], ['NZ', '0###'], ['NZ', '%##'], ['BR', '%####-###'],
  ['BR', '01###-###'], ['BR', '%######'], ['BR', '%####.###'], ['JP', '%##-####'],
  ['JP', '0#######'], ['JP', '%#####'], ['JP', '〒%##-####'], ['KR', '0####'], ['KR', '%###'],
  ['CN', '0#####'], ['CN', '%#####'], ['SG', '0#####'], ['SG', '%####'], ['MY', '0####'],
  ['MX', '0####'], ['MX', '%###'], ['IN', '%#####'], ['IN', '%%# ###'], ['TR', '0####'],
  ['TR', '%###'], ['UA', '0####'], ['AR', 'C%###ABC'], ['AR', '%###'], ['RU', '%#####'],
  ['IL', '%######'], ['ZA', '0###'], ['HK', '999077'], ['AE', '00000'], ['XX', '%##########'],
  ['XX', '%'], ['XX', '@@@@'], ['XX', '12.5'], ['XX', '12,50'], ['XX', '000'], ['XX', '0'],
  ['XX', '%#e5'], ['XX', 'P.O. Box %##'], ['XX', '%#### (home)'], ['XX', '%####/%####']
]

// oxfmt-ignore
export const PLACEHOLDERS = [
  '', ' ', '-', '--', '.', '?', '???', 'n/a', 'N/A', '#N/A', 'n.a.', 'N.A', 'n\\a', 'none', 'None',
  'NULL', 'null', '\\N', 'undefined', 'unknown', 'Unbekannt', 'inconnu', 'desconocido',
  'not available', 'Not Applicable', 'not provided', 'not given', 'not set', 'no name', 'no data',
  'no value', '(blank)', '(empty)', '(none)', '(null)', '(not set)', '[null]', '[blank]', '<null>',
  '<blank>', '#NULL!', '#REF!', '#VALUE!', '#NAME?', '#DIV/0!', 'nil', 'NaN', 'tbd', 'TBA', 'tbc',
  'blank', 'empty', 'missing', 'void', 'other', 'n / a', 'not  available', 'ｎ／ａ', '\u200bn/a',
  'n/a\u00a0', '\u200b', '\ufeff', '\u00a0', '\u3000', '\u0000', '💐', '👍🏽', '\u0301', '0', '00000',
  'true', 'false', '{}', '[]', '""', "''"
] as const

/** Literals as they stand in JSON. */
// oxfmt-ignore
export const NUMBERS = [
  '0', '-0', '1', '-1', '12345', '2134e0', '2134', '90210', '90210.0', '90210.5', '1e3', '1E+3',
  '1.5e1', '4915112345678', '4915112345678.0', '4.915112345678e12', '15112345678', '2125550100',
  '-2125550100', '9007199254740991', '9007199254740992', '9007199254740993', '12345678901234567890',
  '1e21', '1e308', '0.1', '5e-324', '1e-400', '44740012345', '33612345678',
  '1000000000000000'
] as const

// oxfmt-ignore
export const IDS = [
  'et_1', 'CRM-000123', '000123', 'a', 'ä', 'id with blanks', ' id ', 'ID/1', '0', '-', 'n/a',
  '12345', '1234567', '12345678901234567', '123456789012345678', '+4915112345678', '0151 12345678',
  '0151-12345678 ext. 5', '2125550100x5', '2125550100#5', 'tel:+4915112345678',
  'tel:+4915112345678;ext=5', 'ext. 12', 'x12', '#12', '1234-5678-9012', '(212) 555-0100',
  'jane@example.com', 'JANE@example.com', '@jane', 'jane＠example.com', '１２３４５６７８９０', '٠١٥١١٢٣٤٥٦٧٨',
  '1.234.567', '1,234,567', '2026-01-31', '2026-01-31T10:00:00Z', '192.168.100.200', '=1+1',
  '"quoted"', 'back\\slash', 'new\nline', 'tab\tbed', 'nul\u0000', '\ud800', '\ufffd', '🆔', '&amp;',
  'Ünïcödé', 'e\u0301', 'é'
] as const

/** JSON of purchases. */
// oxfmt-ignore
export const PURCHASES = [
  'null', '{}', '[]', '[{}]', '[{},{}]', '{"currency":null,"profit":null,"total7Days":null}',
  '{"currency":"USD"}', '{"currency":"USD","profit":12.5,"total7Days":3}',
  '{"currency":"usd","profit":0.1}', '{"currency":" usd ","profit":0.2,"total7Days":0.1}',
  '{"profit":5}', '{"total7Days":7,"profit":-5}',
  '{"currency":"EUR","profit":9.99,"total7Days":1e3}', '{"currency":"JPY","profit":1000}',
  '{"currency":"","profit":1}', '{"currency":"U$D","profit":1}', '{"currency":"USD","profit":-1e3}',
  '{"currency":"USD","profit":1e308}',
  '[{"currency":"USD","profit":1e308},{"currency":"USD","profit":1e308}]',
  '[{"currency":"USD","profit":0.1},{"currency":"USD","profit":0.2}]',
  '[{"currency":"EUR","profit":1},{"currency":"USD","profit":2}]',
  '[{"profit":1},{"currency":"EUR","profit":2},{"currency":"USD","profit":4},{"total7Days":8}]',
  '[{"currency":"USD","profit":5e-324},{"currency":"USD","profit":1e-7,"total7Days":-0}]',
  '{"currency":"ＵＳＤ","profit":1}', '{"currency":"ıst","profit":1}',
  '{"currency":"USD","profit":1,"unknown":[{"deep":"},{"}]}', '{"total7Days":12345678901234567890}',
  '{"profit":1,"profit":2,"currency":"USD"}', '{"__proto__":{"profit":7},"currency":"USD"}',
  '{"currency":"USD","profit":0.0000004}'
] as const

/** Fields that the service does not know: name and value as JSON. */
// oxfmt-ignore
export const UNKNOWN_FIELDS = [
  '"Email":"jane@example.com"', '"e-mail":"jane@example.com"', '" email":"jane@example.com"',
  '"email ":null', '"e_mail":1', '"FIRSTNAME":"x"', '"tags":["a","b",["c"]]',
  '"address":{"city":"Berlin","zip":"10115","deep":{"email":"deep@example.com","phone":1}}',
  '"__proto__":{"email":"proto@example.com"}', '"constructor":"x"', '"toString":1',
  '"hasOwnProperty":true', '"1":"one"', '"0":0', '"":""', '"\\u0000":1', '"jane@example.com":1',
  '"Ünïcödé":1', '"notes":"a \\"quoted\\" },{ text ] with \\\\ all of it \\\\\\" [{"',
  '"emoji":"👩‍👩‍👧 💐"', '"long name long name long name long name long name long name lon":1',
  '"big":123456789012345678901234567890', '"tiny":1e-999', '"list":[]', '"object":{}',
  '"nested":[[[[[[[[[["deep"]]]]]]]]]]', '"t":true', '"f":false', '"n":null', '"lone":"\\ud83d"',
  '"low":"\\ude00\\ud83d"', '"field 1":1', '"field 2":2', '"field 3":3', '"field 4":4',
  '"field 5":5', '"country_code":"DE"', '"zip":"10115"'
] as const

/** Blanks of all kinds, and what is invisible. */
// oxfmt-ignore
export const BLANKS = [
  ' ', '  ', '\t', '\n', '\r\n', '\v', '\f', '\u0085', '\u00a0', '\u1680', '\u2003', '\u2028',
  '\u202f', '\u3000', '\u200b', '\u200d', '\u2060', '\ufeff', '\u00ad', '\u200e', '\u202e',
  '\u2066', '\u061c', '\u180e', '\u{e0001}', '\u0000', '\u0007', '\u001b', '\u007f', '\u009f'
] as const

/** What does not belong into a value. */
// oxfmt-ignore
export const INTRUDERS = [
  '\ud800', '\udc00', '\ufffd', '\u0301', '\u0345', '💐', '👩‍👩‍👧', '🇩🇪', '\u0660', '\u0967', '"', "'",
  '\\', '/', ',', ';', '|', '&amp;', '&nbsp;', '&#39;', '%20', '<b>', '=', '+', '@', '#', '\ufe0f',
  '\u20ac', '\u0130', '\u0131', '\u017f', '\u212a', '\u00df', '\u03c2', '\u{10400}'
] as const

/** Pairs of what stands before and behind a value. */
// oxfmt-ignore
export const WRAPPERS = [
  '""', "''", '“”', '«»', '()', '[]', '<>', '{}', '``', '**', '  ', '\u00a0\u00a0', '\u200b\u200b',
  '\u202a\u202c', '\ufeff\ufeff', '\t\n'
] as const
